"""The mailbox table and its search."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.asserts import assertInHTML

from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.conftest import headers_for
from tests.console.pages import get_source, get_text
from tests.service import InProcess, shows


def list_names(browser, address="/"):
    return [mailbox.name for mailbox in browser.get(address).context["page"]]


def test_mailboxes_of_every_account_are_listed(viewer, sales, stranger):
    Mailbox.objects.create(account=stranger, name="Support", beep=False)
    page = get_source(viewer)
    for text in ("Sales", "acme", "weak", "transcription", "Support", "stranger", "1–2 of 2"):
        assert text in page


def test_pass_code_is_not_on_the_page(viewer, sales):
    page = get_source(viewer)
    assert not shows(page, "1234")


def test_time_of_the_last_update_is_exact(viewer, sales):
    moment = datetime(2023, 6, 2, 13, 14, 15, tzinfo=UTC)
    Mailbox.objects.update(updated_at=moment)
    expected = (
        '<time datetime="2023-06-02T13:14:15+00:00" title="2023-06-02 13:14:15 UTC" data-show="date">'
        "2023-06-02</time>"
    )
    assertInHTML(expected, get_source(viewer))


def read_update(browser, mailbox):
    """Return the time of the last update in the table and on the mailbox's page."""
    pages = [browser.get(address).text for address in ("/", f"/mailboxes/{mailbox.pk}/")]
    found = [re.findall('<time datetime="([^"]*)"', page.partition("Updated")[2]) for page in pages]
    return found[0][-1], found[1][0]


def test_update_is_the_same_in_the_table_and_on_the_page_of_the_mailbox(support, account):
    support.post("/mailboxes/new/", {"account": "acme", "name": "Desk"})
    desk = Mailbox.objects.get()
    assert desk.updated_at == desk.created_at
    created = desk.created_at.isoformat()
    in_table, on_page = read_update(support, desk)
    assert in_table == on_page
    recipients = f"/mailboxes/{desk.pk}/recipients/"
    for change in (
        lambda: support.post(recipients, {"email": "ann@acme.example"}),
        lambda: desk.add_recipient("bob@acme.example"),
        lambda: support.post(f"{recipients}{EmailRecipient.objects.first().pk}/remove/"),
    ):
        Mailbox.objects.update(updated_at=created)
        change()
        in_table, on_page = read_update(support, desk)
        assert in_table == on_page
        assert Mailbox.objects.get().updated_at.isoformat() > created


def test_deleted_mailboxes_are_listed_separately(viewer, sales):
    Mailbox.objects.create(account=sales.account, name="Gone").soft_delete()
    assert list_names(viewer) == ["Sales"]
    assert list_names(viewer, "/?state=deleted") == ["Gone"]


def test_deleted_mailboxes_show_author_and_days_left(support, sales):
    support.post(f"/mailboxes/{sales.pk}/delete/")
    Mailbox.objects.update(deleted_at=timezone.now() - timedelta(days=3, hours=1))
    older = Mailbox.objects.create(account=sales.account, name="Older")
    InProcess(headers_for(sales.account, "sync")).delete(f"/voip/mailbox/{older.pk}")
    page = " ".join(get_text(support.get("/?state=deleted&order=deleted")).split())
    assert re.search(r"Sales acme \S+ support 27 ", page)
    assert re.search(r"Older acme \S+ sync \(API\) 30 ", page)
    assert page.index("Sales acme") < page.index("Older acme")


def test_total_and_page_are_above_the_table_too(viewer, account):
    for number in range(60):
        Mailbox.objects.create(account=account, name=f"Desk {number:02}")
    page = get_text(viewer.get("/?page=2"))
    assert (
        page.index("60 in total · page 2 of 2") < page.index("Desk 50") < page.index("51–60 of 60")
    )


def test_values_have_labels_on_phones(viewer, sales):
    for address in ("/", "/?state=deleted"):
        for cell in re.findall("<td[^>]*>", get_source(viewer, address)):
            assert "data-label" in cell or 'class="select"' in cell
        sales.soft_delete()


def test_suspended_account_is_marked(viewer, sales):
    assert "suspended" not in get_source(viewer)
    sales.account.suspend()
    assert "suspended" in get_source(viewer)


def test_row_links_to_the_mailbox(viewer, sales):
    assert f'href="/mailboxes/{sales.uuid}/"' in get_source(viewer)


@pytest.mark.parametrize("text", ["sal", "ACME", "Ann@acme", "acme SALES ann@"])
def test_search_finds_name_account_and_recipient(viewer, sales, stranger, text):
    Mailbox.objects.create(account=stranger, name="Support")
    assert list_names(viewer, f"/?q={text}") == ["Sales"]


def test_search_finds_whole_or_partial_uuid(viewer, sales):
    uuid = str(sales.uuid)
    for text in (uuid, uuid.upper(), sales.uuid.hex, uuid[6:20], sales.uuid.hex[4:18]):
        assert list_names(viewer, f"/?q={text}") == ["Sales"]


def test_search_lists_a_mailbox_with_several_matches_once(viewer, sales):
    sales.add_recipient("acme@acme.example")
    assert list_names(viewer, "/?q=acme") == ["Sales"]


@pytest.mark.parametrize("text", ["%", "_", "' OR 1=1 --", "\x00", "-", "é" * 9000])
def test_search_accepts_any_text(viewer, sales, text):
    assert viewer.get(f"/?q={quote(text)}").status_code == 200


def test_search_is_run_once(viewer, sales):
    """It took most of the time of the slowest page."""
    with CaptureQueriesContext(connection) as queries:
        assert list_names(viewer, "/?q=sales") == ["Sales"]
    assert sum("LIKE" in query["sql"] for query in queries) == 1


def test_search_of_many_words_is_refused(viewer, sales):
    assert list_names(viewer, "/?q=" + "+".join("s" * 10)) == ["Sales"]
    page = get_source(viewer, "/?q=" + "+".join("s" * 11))
    assert "Search for at most 10 words and 254 characters." in page


def test_search_takes_wildcards_literally(viewer, sales):
    assert list_names(viewer, "/?q=%25") == list_names(viewer, "/?q=_") == []


def test_page_links_keep_the_search(viewer, account):
    for number in range(60):
        Mailbox.objects.create(account=account, name=f"Desk {number:02}")
    assert len(list_names(viewer, "/?q=desk")) == 50
    assert 'href="/?q=desk&amp;page=2"' in get_source(viewer, "/?q=desk")
    assert list_names(viewer, "/?q=desk&page=2") == [f"Desk {number}" for number in range(50, 60)]


@pytest.mark.parametrize("page", ["-1", "99", "x"])
def test_invalid_page_number_shows_the_nearest_page(viewer, sales, page):
    assert list_names(viewer, f"/?page={page}") == ["Sales"]


def test_count_of_mailboxes_is_capped(viewer, account, monkeypatch):
    monkeypatch.setattr("mailboxes.console.views.mailbox_list.CappedPaginator.max_rows", 2)
    for number in range(3):
        Mailbox.objects.create(account=account, name=f"Desk {number}")
    assert "1–2 of 2 or more: search to see others" in get_source(viewer)


def test_query_count_does_not_grow_with_the_rows(viewer, django_assert_num_queries):
    for rows in (3, 60):
        for number in range(rows):
            account = Account.objects.create(name=f"account-{rows}-{number}")
            mailbox = Mailbox.objects.create(account=account, name="Sales")
            mailbox.add_recipient("ann@acme.example")
        # Session, user, second factor, two kinds of permissions; count, rows, recipients, unheard
        # messages.
        with django_assert_num_queries(9):
            viewer.get("/?q=a")


def test_empty_table_suggests_what_to_do_next(support):
    page = get_source(support)
    assert "No mailboxes yet" in page
    assert 'href="/mailboxes/new/"' in page
    assert 'href="/docs/#create_mailbox"' in page


def test_search_without_match_suggests_what_to_do_next(viewer, sales):
    page = get_source(viewer, "/?q=<nobody>")
    assert "No mailbox matches" in page
    assert 'href="/?q=%3Cnobody%3E&amp;state=deleted"' in page


def test_empty_deleted_table_is_explained(viewer, sales):
    assert "No deleted mailboxes" in get_source(viewer, "/?state=deleted")


def test_user_without_staff_status_is_refused(client, db):
    client.force_login(User.objects.create_user("customer"))
    response = client.get("/")
    assert response.status_code == 403
    assert "You may not see this page" in response.content.decode()


def test_post_is_not_allowed(viewer):
    assert viewer.post("/").status_code == 405


@pytest.mark.parametrize("page", ["mailboxes/new", "bulk/change", "import", "export"])
def test_navigation_bar_marks_mailboxes_on_related_pages(support, sales, page):
    assert '<a href="/" aria-current="true">' in " ".join(
        get_source(support, f"/{page}/?all=on").split()
    )
