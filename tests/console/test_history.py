"""The history of a mailbox, and putting back an earlier state."""

import re
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry

from mailboxes import trimming
from mailboxes.encryption import KeyRing
from mailboxes.history import reveal_pass_code
from mailboxes.models import EmailRecipient, Mailbox
from tests.conftest import headers_for
from tests.console.conftest import get_undo_address, list_messages, read_values, sign_in_with
from tests.console.pages import get_text
from tests.console.test_mailbox_change import save_form
from tests.engines.engine import Asterisk, engine_headers
from tests.histories import let_pass, rename_often, set_clock_back
from tests.service import InProcess, shows


def open_history(browser, mailbox):
    return browser.get(f"/mailboxes/{mailbox.pk}/history/")


def read_steps(response):
    return response.context["steps"]


def put_back(browser, mailbox, version):
    return browser.post(f"/mailboxes/{mailbox.pk}/put-back/", {"version": version}, follow=True)


def test_history_shows_author_time_and_values(support, sales, account):
    save_form(support, sales, name="Support", transcribe=False)
    InProcess(headers_for(account, "sync")).patch(
        f"/voip/mailbox/{sales.pk}", {"password": "7392", "beep": False}
    )
    response = open_history(support, sales)
    page = get_text(response)
    assert "sync of acme, through the API," in page
    assert "Beep on → off" in page
    assert "Pass code •••• → ••••" in page
    assert "Name Sales → Support" in page
    assert "Transcribe on → off" in page
    assert "Created the mailbox" in page
    assert "Added the recipient ann@acme.example" in page
    row = sales.history.latest()
    assert row.history_date.isoformat() in response.content.decode()
    for code in ("1234", "7392"):
        assert not shows(page, code)


def test_change_by_telephone_names_the_engine(support, sales, account):
    Asterisk(engine_headers(account, "pbx-1")).update(sales.pk, "acme", "7392")
    page = get_text(open_history(support, sales))
    assert "Somebody on the telephone, through pbx-1," in page
    assert "Pass code •••• → ••••" in page


def test_rows_of_one_batch_are_grouped(support, sales):
    version = sales.history.latest().version
    save_form(support, sales, name="Support")
    EmailRecipient.objects.get().delete()
    put_back(support, sales, version)
    steps = open_history(support, sales).context["steps"]
    assert [len(step) for step in steps] == [1, 1, 1, 1, 1]
    assert steps[0][0].batch != steps[1][0].batch


def test_earlier_state_is_put_back_and_undone(support, sales):
    before = read_values(sales)
    version = EmailRecipient.history.get().version
    save_form(support, sales, name="Support", password="", transcribe=False)
    EmailRecipient.objects.get().delete()
    now = read_values(sales)
    response = put_back(support, sales, version)
    assert list_messages(response) == ["Put back: “Sales”."]
    assert read_values(sales) == before
    support.post(get_undo_address(response))
    assert read_values(sales) == now


def test_creation_by_a_command_or_an_earlier_version_is_explained(support, sales):
    page = get_text(open_history(support, sales))
    assert (
        "Author not recorded (a command, an earlier version, or a login that was removed)," in page
    )
    assert "The service itself" not in page


def test_state_is_put_back_after_the_clock_was_set_back(support, sales):
    save_form(support, sales, name="Support", transcribe=False)
    sales.add_recipient("bob@acme.example")
    version = Mailbox.objects.get().version
    set_clock_back()
    save_form(support, sales, name="Service", transcribe=True)
    EmailRecipient.objects.get(email="bob@acme.example").delete()
    newest, *_others = read_steps(open_history(support, sales))
    assert newest[0].action == "recipient removed"
    put_back(support, sales, version)
    now = read_values(sales)
    assert (now["name"], now["transcribe"]) == ("Support", False)
    assert now["recipients"] == ["ann@acme.example", "bob@acme.example"]


def test_put_back_button_is_shown_for_earlier_active_states(support, sales):
    save_form(support, sales, name="Support")
    Mailbox.objects.get().soft_delete()
    Mailbox.objects.get().restore()
    page = open_history(support, sales).content.decode()
    assert page.count("Put this state back") == 3  # created, recipient added, changed


def test_deleted_mailbox_is_put_back(support, sales):
    version = sales.history.latest().version
    sales.soft_delete()
    put_back(support, sales, version)
    assert not Mailbox.objects.get().is_deleted


def test_putting_back_a_deleted_mailbox_needs_the_restore_permission(sales):
    editor = sign_in_with("view_mailbox", "change_mailbox")
    version = sales.history.latest().version
    sales.soft_delete()
    assert put_back(editor, sales, version).status_code == 403


@pytest.mark.parametrize("version", ["", "first", "0", "-1", "1.0", "3", "9" * 10, "9" * 99])
def test_unknown_version_is_not_found(support, sales, version):
    assert put_back(support, sales, version).status_code == 404
    assert Mailbox.objects.get().version == sales.version


def test_removed_state_is_not_put_back_and_the_reason_is_shown(support, sales, settings):
    settings.HISTORY_DAYS, settings.HISTORY_CHANGES = 30, 1000
    save_form(support, sales, name="Support")
    let_pass(days=31)
    save_form(support, sales, name="Service")
    trimming.trim_histories()
    response = put_back(support, sales, sales.version)
    assert list_messages(response) == [
        "This state is no longer in the history, so it was not put back. "
        "Changes are kept for 30 days, and at most the last 1000 of each mailbox."
    ]
    assert "Older changes have been removed." in get_text(response)
    assert read_values(sales)["name"] == "Service"


# --- Pages --------------------------------------------------------------------


def find_link(response, label) -> str | None:
    found = re.search(rf'href="([^"]*)">{label}<', response.content.decode())
    return found and found[1].replace("&amp;", "&")


def read_names(response):
    return [step[0].after.get("name") for step in read_steps(response)]


def test_history_has_pages_in_both_directions(viewer, sales):
    rename_often(sales, 118)
    first = open_history(viewer, sales)
    assert read_names(first) == [f"Name {number}" for number in range(117, 67, -1)]
    assert find_link(first, "Newer changes") is None
    second = viewer.get(find_link(first, "Older changes"))
    assert read_names(second) == [f"Name {number}" for number in range(67, 17, -1)]
    third = viewer.get(find_link(second, "Older changes"))
    assert read_names(third)[:18] == [f"Name {number}" for number in range(17, -1, -1)]
    assert len(read_names(third)) == 20  # with the creation, and the recipient
    assert find_link(third, "Older changes") is None
    again = viewer.get(find_link(third, "Newer changes"))
    assert read_names(again) == read_names(second)
    assert read_names(viewer.get(find_link(again, "Newer changes"))) == read_names(first)


def test_state_on_a_later_page_is_put_back(support, sales):
    rename_often(sales, 118)
    page = support.get(find_link(open_history(support, sales), "Older changes"))
    assert page.content.decode().count("Put this state back") == 50
    put_back(support, sales, read_steps(page)[0][0].version)
    assert read_values(sales)["name"] == "Name 67"


@pytest.mark.parametrize("before", ["", "0", "-1", "x", "1e3", "9" * 10, "9" * 99, "٣"])
def test_wrong_page_is_the_first(viewer, sales, before):
    response = viewer.get(f"/mailboxes/{sales.pk}/history/?before={before}")
    assert len(read_steps(response)) == 2


def test_page_without_changes_says_so(viewer, sales):
    for _time in range(20):
        sales.save()
    response = viewer.get(f"/mailboxes/{sales.pk}/history/?before=1")
    assert "There are no changes on this page." in get_text(response)


def test_views_of_the_pass_code_have_pages(support, sales):
    for _time in range(25):
        reveal_pass_code(sales, support.user)
    LogEntry.objects.update(action_time="2023-06-02T12:00:00Z")  # the order does not need it
    response = open_history(support, sales)
    assert len(response.context["reveals"]) == 20
    assert find_link(response, "Previous") is None
    older = support.get(find_link(response, "Next"))
    assert len(older.context["reveals"]) == 5
    assert find_link(older, "Next") is None
    pks = [entry.pk for page in (response, older) for entry in page.context["reveals"]]
    assert pks == sorted(pks, reverse=True)


def test_viewer_sees_history_without_the_restore_button(viewer, sales):
    sales.turn_transcription(on=False)
    page = open_history(viewer, sales).content.decode()
    assert "Put this state back" not in page


def test_unknown_mailbox_is_not_found(viewer):
    assert viewer.get(f"/mailboxes/{uuid4()}/history/").status_code == 404


def test_query_count_does_not_grow_with_the_rows(support, sales, django_assert_num_queries):
    open_history(support, sales)  # fills Django's cache of content types
    for rounds in (1, 20):
        for number in range(rounds):
            sales.name = f"Sales {number}"
            sales.save()
            sales.add_recipient(f"{rounds}-{number}@acme.example")
        # Session, user, permissions twice, second factor; mailbox, its history, its recipients', log
        # twice, deletions of messages.
        with django_assert_num_queries(11):
            open_history(support, sales)


def test_lost_key_affects_only_the_pass_code(support, sales, settings):
    version = sales.history.latest().version
    settings.PASS_CODE_KEYS = KeyRing([b"another key of thirty-two bytes."])
    save_form(support, sales, name="Support")
    assert "Name Sales → Support" in get_text(open_history(support, sales))
    response = put_back(support, sales, version)
    support.post(get_undo_address(response))
    mailbox = Mailbox.objects.get()
    assert (mailbox.name, mailbox.password_sealed) == ("Support", sales.password_sealed)


def test_pass_code_export_is_in_the_history(support, sales):
    export = f"/export/?uuid={sales.pk}"
    b"".join(support.post(export, {"delimiter": ","}).streaming_content)
    assert "or exported it" not in get_text(open_history(support, sales))
    b"".join(support.post(export, {"delimiter": ",", "pass_codes": "on"}).streaming_content)
    assert "Who saw or exported the pass code support" in get_text(open_history(support, sales))
