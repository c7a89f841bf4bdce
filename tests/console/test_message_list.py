"""The table of messages: search, filters, pages, and what each group sees."""

import secrets
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.history import list_accesses
from mailboxes.models import Account, Mailbox, Message
from tests.console.conftest import create_desks, sign_in_with
from tests.console.pages import get_source, get_text
from tests.messages import leave_message

KEY = secrets.token_bytes(KEY_BYTES)
SECRET = "The safe opens with swordfish."


@pytest.fixture
def ann(sales):
    return leave_message(sales, "Ann Smith", caller_id_number="+44 20 7946", text=SECRET)


def list_callers(browser, address="/messages/"):
    page = browser.get(address).context["page"]
    return [message.caller_id_name for message in page]


def test_messages_are_listed_with_the_newest_first(viewer, sales):
    for hours, name in ((2, "Bob"), (1, "Ann"), (3, "Zoe")):
        leave_message(sales, name, hours_ago=hours)
    assert list_callers(viewer) == ["Ann", "Bob", "Zoe"]


def test_row_shows_caller_mailbox_account_time_and_length(viewer, sales):
    at = datetime(2023, 6, 2, 12, 5, tzinfo=UTC)
    leave_message(sales, "Ann", caller_id_number="+44 20", received_at=at)
    Message.objects.update(duration=65)
    text = get_text(viewer.get("/messages/"))
    assert "Unheard: Ann +44 20 Sales acme 2023-06-02 12:05 UTC 1:05" in text


def test_unknown_caller_is_named_so(viewer, sales):
    leave_message(sales)
    assert "Unheard: Unknown caller Sales" in get_text(viewer.get("/messages/"))


def test_heard_message_is_not_marked_as_unheard(viewer, ann):
    ann.mark_heard(True)
    assert "Unheard:" not in get_text(viewer.get("/messages/"))


def test_hostile_caller_is_escaped(viewer, sales):
    leave_message(sales, "<script>alert(1)</script>")
    page = get_source(viewer, "/messages/")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_first_line_of_the_transcription_is_shown_to_managers_only(viewer, manager, ann):
    ann.transcription = "First line.\nSecond line."
    ann.save()
    text = get_text(manager.get("/messages/"))
    assert "First line." in text
    assert "Second" not in text
    assert "First line." not in get_text(viewer.get("/messages/"))


def test_status_of_a_transcription_is_shown(manager, ann):
    Message.objects.update(transcription_status=Message.Status.NO_SPEECH)
    assert "No speech" in get_text(manager.get("/messages/"))


def test_transcription_that_cannot_be_decrypted_hides_no_message(manager, ann, settings):
    settings.PASS_CODE_KEYS = KeyRing([KEY])
    text = get_text(manager.get("/messages/"))
    assert "Ann Smith" in text
    assert "swordfish" not in text


@pytest.mark.parametrize("word", ["smith", "ANN 7946", "sales-no", "swordfish", "Ánn"])
def test_search_of_managers_finds_callers_and_transcriptions(manager, ann, word):
    found = [] if word == "sales-no" else ["Ann Smith"]
    assert list_callers(manager, f"/messages/?q={quote(word)}") == found


def test_search_of_support_finds_callers_only(support, ann):
    """A search that finds transcriptions would tell what callers say, word by word."""
    assert list_callers(support, "/messages/?q=smith") == ["Ann Smith"]
    assert list_callers(support, "/messages/?q=swordfish") == []
    assert list_callers(support, "/messages/?q=smith+swordfish") == []


def test_search_says_how_many_transcriptions_it_read(manager, sales, monkeypatch):
    monkeypatch.setattr("mailboxes.console.message_filters.MOST_SEARCHED", 2)
    for hours in range(3):
        leave_message(sales, f"Caller {hours}", hours_ago=hours, text=SECRET)
    hint = "only the newest 2 transcriptions"
    response = manager.get("/messages/?q=swordfish")
    assert [message.caller_id_name for message in response.context["page"]] == [
        "Caller 0",
        "Caller 1",
    ]
    assert hint in get_text(response)
    assert list_callers(manager, "/messages/?q=caller+2") == ["Caller 2"]
    assert hint not in get_text(manager.get("/messages/"))
    Message.objects.get(caller_id_name="Caller 0").delete()
    assert hint not in get_text(manager.get("/messages/?q=swordfish"))


@pytest.mark.parametrize("text", ["%", "_", "' OR 1=1 --", "\x00", "-", "é" * 9000])
def test_search_accepts_any_text(manager, ann, text):
    assert manager.get(f"/messages/?q={quote(text)}").status_code == 200


def test_search_takes_wildcards_literally(manager, ann):
    assert list_callers(manager, "/messages/?q=%25") == []


def test_search_is_run_once(viewer, ann):
    with CaptureQueriesContext(connection) as queries:
        assert list_callers(viewer, "/messages/?q=ann") == ["Ann Smith"]
    searches = [query["sql"] for query in queries if "LIKE" in query["sql"]]
    assert sum("mailboxes_message" in sql for sql in searches) == 1


def test_filters_find_unheard_heard_and_deleted_messages(viewer, sales):
    leave_message(sales, "Ann")
    leave_message(sales, "Bob").mark_heard(True)
    leave_message(sales, "Eve").soft_delete()
    assert list_callers(viewer, "/messages/?heard=no") == ["Ann"]
    assert list_callers(viewer, "/messages/?heard=yes") == ["Bob"]
    assert list_callers(viewer, "/messages/?state=deleted") == ["Eve"]


def test_filter_by_dates_includes_both_days(viewer, sales):
    for day in (1, 2, 3, 4):
        at = datetime(2023, 6, day, 23, 59, tzinfo=UTC)
        leave_message(sales, f"Day {day}", received_at=at)
    assert list_callers(viewer, "/messages/?since=2023-06-02&until=2023-06-03") == [
        "Day 3",
        "Day 2",
    ]


def test_filter_by_account_includes_customers_if_asked(viewer, sales, account, stranger):
    below = Account.objects.create(name="below", reseller=account)
    for owner in (below, stranger):
        leave_message(Mailbox.objects.create(account=owner, name="Desk"), owner.name)
    leave_message(sales, "own")
    assert list_callers(viewer, "/messages/?account=acme") == ["own"]
    assert set(list_callers(viewer, "/messages/?account=acme&customers=on")) == {"own", "below"}


def test_filter_by_mailbox_names_it(viewer, ann, account):
    (other,) = create_desks(account, 1)
    leave_message(other, "Bob")
    address = f"/messages/?mailbox={other.pk}"
    assert list_callers(viewer, address) == ["Bob"]
    assert "Mailbox Desk 000 ×" in get_text(viewer.get(address))


def test_wrong_filters_are_named(viewer, ann):
    response = viewer.get("/messages/?mailbox=x&account=nobody&since=yesterday&heard=maybe")
    text = get_text(response)
    assert list(response.context["page"]) == []
    for label in ("Mailbox:", "Account: There is no account “nobody”.", "From:", "Heard:"):
        assert label in text


def test_messages_of_a_deleted_mailbox_come_back_with_it(viewer, ann, sales):
    sales.soft_delete()
    assert list_callers(viewer) == list_callers(viewer, f"/messages/?mailbox={sales.pk}") == []
    assert list_callers(viewer, "/messages/?account=acme") == []
    sales.restore()
    assert list_callers(viewer) == ["Ann Smith"]


def test_count_of_messages_is_capped(viewer, sales, monkeypatch):
    monkeypatch.setattr("mailboxes.console.views.mailbox_list.CappedPaginator.max_rows", 2)
    for _number in range(3):
        leave_message(sales, "Ann")
    assert "1–2 of 2 or more: search to see others" in get_source(viewer, "/messages/")


def test_query_count_does_not_grow_with_the_rows(viewer, account, django_assert_num_queries):
    for rows in (2, 8):
        for desk in create_desks(account, rows):
            leave_message(desk, "Ann")
        # Session, user, second factor, two kinds of permissions; count, rows, mailboxes, accounts.
        with django_assert_num_queries(9):
            viewer.get("/messages/")


def test_empty_lists_say_why(viewer):
    assert "<h2>No messages</h2>" in get_source(viewer, "/messages/")
    assert "No deleted messages" in get_source(viewer, "/messages/?state=deleted")
    assert "No message matches" in get_source(viewer, "/messages/?q=ann")


def test_page_needs_permission(db):
    browser = sign_in_with("view_mailbox")
    assert browser.get("/messages/").status_code == 403
    assert 'href="/messages/"' not in get_source(browser)


def test_first_reading_of_a_transcription_in_a_list_is_written_down(manager, support, ann, sales):
    leave_message(sales, "Bob")  # has no transcription
    addresses = ("/messages/", f"/mailboxes/{sales.pk}/", "/messages/?q=swordfish")
    for address in addresses:
        support.get(address)
    assert list(list_accesses(sales)) == []
    for address in addresses:
        manager.get(address)
        (entry,) = list_accesses(sales)
        assert (entry.user, str(ann.pk) in entry.change_message) == (manager.user, True)


# --- Dates and time zones -------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "found"),
    [
        ("", ["Noon", "Early"]),
        ("UTC", ["Noon", "Early"]),
        ("Europe/Berlin", ["Noon", "Early", "Evening before"]),
        ("America/New_York", ["Late", "Noon"]),
    ],
)
def test_days_are_those_of_the_time_zone_that_is_shown(viewer, sales, zone, found):
    moments = {
        "Evening before": datetime(2023, 6, 1, 22, 30, tzinfo=UTC),
        "Early": datetime(2023, 6, 2, 3, 30, tzinfo=UTC),
        "Noon": datetime(2023, 6, 2, 12, 0, tzinfo=UTC),
        "Late": datetime(2023, 6, 3, 3, 30, tzinfo=UTC),
    }
    for name, moment in moments.items():
        leave_message(sales, name, received_at=moment)
    address = f"/messages/?since=2023-06-02&until=2023-06-02&zone={zone}"
    assert list_callers(viewer, address) == found
    assert f"From 2023-06-02 ({zone or 'UTC'}) ×" in get_text(viewer.get(address))


def test_day_on_which_clocks_change_is_complete(viewer, sales):
    """It has 25 hours in Berlin."""
    leave_message(sales, "Late", received_at=datetime(2023, 10, 29, 22, 59, tzinfo=UTC))
    leave_message(sales, "Next day", received_at=datetime(2023, 10, 29, 23, 0, tzinfo=UTC))
    address = "/messages/?since=2023-10-29&until=2023-10-29&zone=Europe/Berlin"
    assert list_callers(viewer, address) == ["Late"]


def test_time_zone_is_kept_with_dates_only(viewer, ann):
    page = get_source(viewer, "/messages/?zone=Europe/Berlin&heard=no")
    assert "/messages/bulk/?heard=no" in page
    page = get_source(viewer, "/messages/?zone=Europe/Berlin&until=2023-06-02")
    assert "/messages/bulk/?until=2023-06-02&amp;zone=Europe%2FBerlin" in page


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "/etc", "Europe", "x\x00"])
def test_unknown_time_zone_is_named(viewer, ann, zone):
    page = viewer.get("/messages/", {"since": "2023-06-02", "zone": zone})
    assert "Time zone: " in get_text(page)
    assert list(page.context["page"]) == []


def test_swapped_dates_are_explained_at_the_field(viewer, ann):
    page = viewer.get("/messages/?since=2023-06-03&until=2023-06-02")
    error = "Choose a day that is not before the one in “From”."
    assert f"Until: {error}" in get_text(page)
    assert error in page.content.decode().partition('id="date-errors"')[2].partition("</div>")[0]
    assert 'class="filters" open' in page.content.decode()


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01"])
def test_dates_that_no_message_can_have_are_named(viewer, ann, name, day):
    for zone in ("America/New_York", "Asia/Tokyo"):
        page = viewer.get(f"/messages/?{name}={day}&zone={zone}")
        assert "Ensure this value is" in get_text(page)


# --- The filter for mailboxes ---------------------------------------------------


def test_filter_by_mailbox_takes_words_of_its_name(viewer, ann, account, stranger):
    (desk,) = create_desks(account, 1)
    leave_message(desk, "Bob")
    leave_message(Mailbox.objects.create(account=stranger, name="Desk 9"), "Eve")
    assert list_callers(viewer, "/messages/?mailbox=desk") == ["Eve", "Bob"]
    assert list_callers(viewer, "/messages/?mailbox=000+DESK") == ["Bob"]
    assert list_callers(viewer, "/messages/?mailbox=desk&account=acme") == ["Bob"]
    assert "Mailbox desk ×" in get_text(viewer.get("/messages/?mailbox=desk"))


def test_filter_by_an_unknown_mailbox_says_so(viewer, ann):
    text = get_text(viewer.get("/messages/?mailbox=nowhere"))
    assert "Mailbox: There is no mailbox with “nowhere” in its name." in text


def test_filter_by_mailbox_and_another_account_finds_nothing(viewer, ann, stranger):
    address = f"/messages/?mailbox={ann.mailbox_id}&account={stranger.name}"
    assert list_callers(viewer, address) == []
