"""The page of one mailbox and its form."""

from uuid import uuid4

import pytest

from mailboxes import trimming
from mailboxes.conflict import Conflict
from mailboxes.models import Batch, Mailbox
from tests.conftest import headers_for
from tests.console.conftest import DELETED, get_undo_address, list_messages, read_values
from tests.console.pages import get_text
from tests.histories import rename_often, set_clock_back
from tests.messages import leave_message
from tests.service import InProcess, shows


def get_address(mailbox):
    return f"/mailboxes/{mailbox.pk}/"


def get_form_values(browser, mailbox, **fields):
    """Return what a browser sends for the page's form, with these fields changed."""
    form = browser.get(get_address(mailbox)).context["form"]
    values = {field.html_name: field.value() for field in form} | fields
    return {name: value for name, value in values.items() if value not in (None, False)}


def save_form(browser, mailbox, **fields):
    return browser.post(
        get_address(mailbox), get_form_values(browser, mailbox, **fields), follow=True
    )


def test_page_shows_everything_but_the_pass_code(viewer, sales):
    response = viewer.get(get_address(sales))
    for text in ("Sales", "acme", "ann@acme.example", str(sales.pk), "none: callers hear"):
        assert text in response.content.decode()
    assert not shows(response.content.decode(), "1234")


def test_page_shows_the_api_call_and_the_lines_of_dialplans(viewer, sales):
    page = viewer.get(get_address(sales)).content.decode()
    assert f">VoiceMail({sales.pk}@acme)<" in page
    assert f">voicemail beep-true acme {sales.pk}<" in page
    assert f"curl -sS http://testserver/voip/mailbox/{sales.pk}" in page
    assert "X-Auth-Reseller: acme" in page


def test_all_settings_are_saved_and_undone(support, sales):
    before = read_values(sales)
    changes = {
        "name": "Support",
        "password": "0007",
        "greeting": str(uuid4()),
        "beep": False,
        "play_caller_id": True,
        "play_timestamp": True,
        "transcribe": False,
    }
    response = save_form(support, sales, **changes)
    assert list_messages(response) == ["Saved: “Support”."]
    now = read_values(sales)
    assert now | changes | {"greeting": now["greeting"]} == now
    assert str(now["greeting"]) == changes["greeting"]
    row = sales.history.latest()
    assert (row.history_user, row.history_batch) == (support.user, Batch.objects.get())
    support.post(get_undo_address(response))
    assert read_values(sales) == before


def test_mask_keeps_and_empty_field_removes_the_pass_code(support, sales):
    save_form(support, sales, name="Support")
    assert read_values(sales)["password"] == "1234"
    save_form(support, sales, password="")
    assert read_values(sales)["password"] is None


def test_saving_unchanged_values_writes_nothing(support, sales):
    response = save_form(support, sales)
    assert list_messages(response) == ["Nothing was changed."]
    assert Mailbox.objects.get().version == sales.version
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("name", "", "This field is required."),
        ("name", "a" * 101, "at most 100 characters"),
        ("name", "a\x07b", "Leave out control characters."),
        ("name", "a\x00b", "Null characters are not allowed."),
        ("password", "123", "Use four digits, 0000 to 9999. This has 3 digits."),
        ("password", "12a4", "Use four digits, 0000 to 9999. This has letters."),
        ("greeting", "hello", "has no greeting “hello”"),
    ],
)
def test_invalid_value_is_explained_and_kept(support, sales, field, value, error):
    before = read_values(sales)
    response = save_form(support, sales, transcribe=False, **{field: value})
    form = response.context["form"]
    assert error in form.errors[field][0]
    assert form[field].value() == value
    assert form["transcribe"].value() is False
    assert "<h1>Sales</h1>" in get_heading(response)
    assert read_values(sales) == before


def get_heading(response):
    page = response.content.decode()
    return "".join(page[page.index("<h1>") : page.index("</h1>") + 5].split())


# --- Concurrent changes ---------------------------------------------------------


def change_concurrently(mailbox, **fields):
    other = Mailbox.objects.get(pk=mailbox.pk)
    for field, value in fields.items():
        setattr(other, field, value)
    other.save()


def test_concurrent_change_is_shown_next_to_the_typed_values(support, sales):
    mine = get_form_values(support, sales, name="Mine", beep=False)
    change_concurrently(sales, name="Theirs", password="7392", play_caller_id=True)
    before = read_values(sales)
    response = support.post(get_address(sales), mine)
    page = get_text(response)
    assert "Somebody else has changed this mailbox" in page
    assert "Name Sales Theirs Mine" in page
    assert "Beep on on off" in page
    assert "Play caller ID off on not changed" in page
    assert "Save mine" in page
    assert not shows(response.content.decode(), "7392")
    assert read_values(sales) == before


@pytest.mark.parametrize(
    ("mine", "theirs", "shown"),
    [
        ("••••", "7392", "Pass code •••• •••• not changed"),
        ("••••", None, "Pass code •••• none not changed"),
        ("8305", "7392", "Pass code •••• •••• ••••"),
        ("", "7392", "Pass code •••• •••• none"),
    ],
)
def test_pass_code_changed_meanwhile_is_in_the_table(support, sales, mine, theirs, shown):
    typed = get_form_values(support, sales, name="Mine", password=mine)
    change_concurrently(sales, password=theirs)
    page = support.post(get_address(sales), typed)
    text = get_text(page)
    assert "Name Sales Sales Mine" in text
    assert shown in text
    assert not any(shows(page.text.partition("<form")[0], code) for code in ("7392", "1234"))
    kept = {"••••": theirs, "8305": "8305", "": None}[mine]
    again = {field.html_name: field.value() or "" for field in page.context["form"]}
    support.post(get_address(sales), {name: value for name, value in again.items() if value})
    assert (read_values(sales)["name"], read_values(sales)["password"]) == ("Mine", kept)


def test_conflict_of_one_setting_offers_both_versions(support, sales):
    mine = get_form_values(support, sales, name="Mine")
    change_concurrently(sales, name="Theirs")
    assert "Save mine Keep theirs" in get_text(support.post(get_address(sales), mine))


def test_saving_after_a_conflict_keeps_concurrent_changes_of_other_fields(support, sales):
    mine = get_form_values(support, sales, name="Mine")
    change_concurrently(sales, name="Theirs", password="7392", play_caller_id=True)
    form = support.post(get_address(sales), mine).context["form"]
    again = {field.html_name: field.value() for field in form}
    again = {name: value for name, value in again.items() if value not in (None, False)}
    assert list_messages(support.post(get_address(sales), again, follow=True)) == ["Saved: “Mine”."]
    now = read_values(sales)
    assert (now["name"], now["password"], now["play_caller_id"]) == ("Mine", "7392", True)


def test_second_concurrent_change_is_shown_too(support, sales):
    mine = get_form_values(support, sales, name="Mine")
    change_concurrently(sales, name="Theirs")
    form = support.post(get_address(sales), mine).context["form"]
    change_concurrently(sales, name="Another")
    again = {field.html_name: field.value() or "" for field in form}
    assert isinstance(support.post(get_address(sales), again).context["conflict"], Conflict)
    assert read_values(sales)["name"] == "Another"


def test_concurrent_new_recipient_is_no_conflict(support, sales):
    mine = get_form_values(support, sales, name="Mine")
    sales.add_recipient("bob@acme.example")
    support.post(get_address(sales), mine)
    assert read_values(sales)["name"] == "Mine"
    assert len(read_values(sales)["recipients"]) == 2


def test_concurrent_equal_change_is_no_conflict(support, sales):
    mine = get_form_values(support, sales, name="Same")
    change_concurrently(sales, name="Same")
    assert list_messages(support.post(get_address(sales), mine, follow=True)) == [
        "Nothing was changed."
    ]


def test_form_loaded_before_history_was_trimmed_is_a_conflict(support, sales, settings):
    settings.HISTORY_DAYS, settings.HISTORY_CHANGES = 30, 10
    mine = get_form_values(support, sales, beep=False)
    rename_often(sales, 20)
    trimming.trim_histories()
    response = support.post(get_address(sales), mine)
    assert "Name Name 19 Name 19 Sales" in get_text(response)
    assert response.context["form"]["name"].value() == "Sales"
    assert read_values(sales)["name"] == "Name 19"


def test_author_after_the_clock_was_set_back_is_the_last(support, sales):
    mine = get_form_values(support, sales, name="Mine")
    change_concurrently(sales, name="Theirs")
    set_clock_back()
    InProcess(headers_for(sales.account, "sync")).patch(
        f"/voip/mailbox/{sales.pk}", {"name": "Newest"}
    )
    page = get_text(support.post(get_address(sales), mine))
    assert "sync of acme, through the API, saved changes" in page


def test_form_of_a_mailbox_deleted_meanwhile_is_saved_once_it_is_restored(support, sales):
    mine = get_form_values(support, sales, name="Mine")
    sales.soft_delete()
    response = support.post(get_address(sales), mine)
    assert list_messages(response) == [DELETED]
    assert response.context["form"]["name"].value() == "Mine"
    assert "Restore</button>" in response.content.decode()
    assert read_values(sales)["name"] == "Sales"
    support.post(f"{get_address(sales)}restore/", follow=True)
    assert list_messages(support.post(get_address(sales), mine, follow=True)) == ["Saved: “Mine”."]


def test_change_of_a_mailbox_deleted_since_is_not_undone(support, sales):
    undo = get_undo_address(save_form(support, sales, name="Mine"))
    change_concurrently(sales, deleted_at=sales.created_at)
    assert list_messages(support.post(undo, follow=True)) == [DELETED]
    assert read_values(sales)["name"] == "Mine"


# --- Permissions ----------------------------------------------------------------


def test_viewer_sees_no_form(viewer, sales):
    assert "<button" not in get_main(viewer.get(get_address(sales)))


def get_main(response):
    """Return the main part of the page, without the copy buttons, which need a script."""
    page = response.content.decode()
    return page[page.index("<main") : page.index("</main>")].replace("<button class", "<copy")


def test_deleted_mailbox_has_no_form(support, sales):
    sales.soft_delete()
    page = support.get(get_address(sales)).content.decode()
    assert "Restore</button>" in page
    assert 'name="password"' not in page


def test_unknown_mailbox_is_not_found(viewer):
    assert viewer.get(f"/mailboxes/{uuid4()}/").status_code == 404


def test_query_count_does_not_grow_with_the_rows(support, sales, django_assert_num_queries):
    for more in (1, 30):
        for number in range(more):
            sales.add_recipient(f"ann{more}-{number}@acme.example")
            leave_message(sales)
        # Session, user, permissions twice, second factor; mailbox twice, recipients; messages:
        # unheard, heard if there is room, three counts; greetings, resellers that share some.
        with django_assert_num_queries(15 if more == 1 else 14):
            support.get(get_address(sales))
