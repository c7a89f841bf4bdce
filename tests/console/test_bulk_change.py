"""Change settings of many mailboxes at once."""

import re
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry

from mailboxes.csvfiles.rows import unescape_formula
from mailboxes.models import Account, EmailRecipient, Mailbox
from mailboxes.validators import is_weak_pass_code
from tests.console.conftest import (
    DELETED,
    create_desks,
    get_undo_address,
    list_messages,
    read_values,
)
from tests.console.pages import get_text
from tests.console.test_export import download_rows
from tests.service import shows

CHANGE = "/bulk/change/"


def get_address(mailboxes, **settings):
    chosen = [("uuid", mailbox.pk) for mailbox in mailboxes]
    wanted = [(f"to-{name}", value) for name, value in settings.items()]
    return f"{CHANGE}?{urlencode(chosen + wanted)}"


def get_digest(browser, address):
    return re.search(r'name="digest" value="(\w+)"', browser.get(address).content.decode())[1]


def confirm_preview(browser, address):
    """Open the preview and confirm it."""
    return browser.post(address, {"digest": get_digest(browser, address)}, follow=True)


def read_transcribe(mailboxes):
    return [Mailbox.objects.get(pk=mailbox.pk).transcribe for mailbox in mailboxes]


def read_addresses(mailboxes):
    return [read_values(mailbox)["recipients"] for mailbox in mailboxes]


def test_preview_counts_the_changes_of_each_setting(support, account):
    one, two, _ = create_desks(account, 3)
    one.turn_transcription(on=True)
    page = get_text(
        support.get(get_address([one, two], transcribe="on", beep="on", greeting="none"))
    )
    assert "Change settings of 2 mailboxes" in page
    assert "Transcribe → on: changes 1 of 2 mailboxes" in page
    assert "Beep → on: changes 0 of 2 mailboxes" in page
    assert "Greeting → none: changes 0 of 2 mailboxes" in page


def test_preview_lists_the_mailboxes_that_change(support, account):
    mailboxes = create_desks(account, 30)
    for mailbox in mailboxes[:3]:
        mailbox.turn_transcription(on=True)
    address = f"{CHANGE}?all=on&to-transcribe=on"
    response = support.get(address)
    assert "27 mailboxes change, 3 stay unchanged." in get_text(response)
    assert "Change 27 mailboxes" in get_text(response)
    listed = [*response.context["page"], *support.get(f"{address}&page=2").context["page"]]
    assert listed == mailboxes[3:]


def test_preview_changes_nothing(support, account):
    mailboxes = create_desks(account, 2)
    support.get(get_address(mailboxes, transcribe="on"))
    assert read_transcribe(mailboxes) == [False, False]


def test_selected_mailboxes_are_changed_and_undone(support, account):
    mailboxes = create_desks(account, 3)
    sound = str(uuid4())
    before = [read_values(mailbox) for mailbox in mailboxes]
    settings = {"transcribe": "on", "beep": "off", "greeting": "set", "sound": sound}
    response = confirm_preview(support, get_address(mailboxes[:2], **settings))
    assert list_messages(response) == ["Changed: 2 mailboxes."]
    assert read_transcribe(mailboxes) == [True, True, False]
    assert str(Mailbox.objects.get(pk=mailboxes[0].pk).greeting) == sound
    response = support.post(get_undo_address(response), {"next": "/"}, follow=True)
    assert list_messages(response) == ["The change of 2 mailboxes was undone."]
    assert [read_values(mailbox) for mailbox in mailboxes] == before


def test_all_matching_mailboxes_are_changed(support, account, stranger):
    mailboxes = create_desks(account, 60)
    others = create_desks(stranger, 2)
    response = confirm_preview(support, f"{CHANGE}?all=on&account=acme&to-transcribe=on")
    assert list_messages(response) == ["Changed: 60 mailboxes."]
    assert all(read_transcribe(mailboxes))
    assert not any(read_transcribe(others))
    assert response.redirect_chain[-1][0] == "/?account=acme"


def test_mailbox_that_has_the_setting_is_not_written(support, account):
    one, two = create_desks(account, 2)
    one.turn_transcription(on=True)
    version = Mailbox.objects.get(pk=one.pk).version
    response = confirm_preview(support, get_address([one, two], transcribe="on"))
    assert list_messages(response) == ["Changed: “Desk 001”."]
    assert Mailbox.objects.get(pk=one.pk).version == version


def test_concurrent_change_is_shown_before_anything_is_written(support, account):
    mailboxes = create_desks(account, 2)
    address = get_address(mailboxes, transcribe="on")
    digest = get_digest(support, address)
    mailboxes[0].soft_delete()
    response = support.post(address, {"digest": digest})
    assert "has changed since this page was loaded, so nothing was done" in get_text(response)
    assert read_transcribe(mailboxes) == [False, False]


def test_mailbox_added_since_the_preview_is_shown_before_anything_is_written(support, account):
    mailboxes = create_desks(account, 2)
    address = f"{CHANGE}?all=on&to-transcribe=on"
    digest = get_digest(support, address)
    mailboxes += create_desks(account, 1)
    assert support.post(address, {"digest": digest}).status_code == 200
    assert read_transcribe(mailboxes) == [False, False, False]


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"greeting": "set"}, "Enter a name or UUID"),
        ({"greeting": "set", "sound": "hello"}, "“acme” has no greeting “hello”"),
        ({"transcribe": "maybe"}, "maybe is not one of the available choices"),
        ({"add": "ann@acme.example bob"}, "Add recipients: “bob”: Enter a valid email address."),
        ({"add": "a@b.example", "remove": "A@b.example"}, "“A@b.example”: This address is also"),
    ],
)
def test_invalid_setting_is_explained_and_not_applied(support, account, settings, error):
    mailboxes = create_desks(account, 1)
    address = get_address(mailboxes, beep="off", **settings)
    page = support.get(address)
    assert error in get_text(page)
    assert "Change 1 mailbox" not in get_text(page)
    support.post(address, {"digest": page.context["selection"].digest})
    assert Mailbox.objects.get().beep is True


def test_preview_without_settings_has_no_button(support, account):
    page = support.get(get_address(create_desks(account, 1)))
    assert "Nothing yet: choose a setting." in get_text(page)
    assert "Change 1 mailbox" not in get_text(page)


def test_each_mailbox_gets_a_good_pass_code_that_is_handed_over_as_csv(support, account, caplog):
    mailboxes = create_desks(account, 30)
    before = [read_values(mailbox) for mailbox in mailboxes]
    response = confirm_preview(support, get_address(mailboxes, password="new"))
    assert list_messages(response) == ["Changed: 30 mailboxes."]
    codes = {str(mailbox.pk): read_values(mailbox)["password"] for mailbox in mailboxes}
    assert not any(is_weak_pass_code(code) for code in codes.values())
    assert len(set(codes.values())) > 20
    address = response.redirect_chain[-1][0]
    assert "<h1> Hand over 30 new pass codes </h1>" in " ".join(response.content.decode().split())
    assert response.context["form"]["pass_codes"].value() is True
    rows = download_rows(support, address, pass_codes="on")
    assert {row["uuid"]: unescape_formula(row["password"]) for row in rows} == codes
    assert LogEntry.objects.filter(change_message="Pass code exported.").count() == 30
    seen = [response.content.decode(), address, caplog.text, *support.session.values()]
    assert not any(shows(str(text), code) for text in seen for code in codes.values())
    support.post(get_undo_address(response))
    assert [read_values(mailbox) for mailbox in mailboxes] == before


def test_recipients_are_added_and_removed_and_undone(support, account):
    mailboxes = one, two, three = create_desks(account, 3)
    one.add_recipient("Ann@acme.example")
    for address in ("bob@acme.example", "old@acme.example"):
        two.add_recipient(address)
    three.add_recipient("ann@acme.example")
    three.add_recipient("bob@acme.example")
    before = read_addresses(mailboxes)
    pasted = "Ann <ann@acme.example>; bob@acme.example"
    address = get_address(mailboxes, add=pasted, remove="OLD@acme.example")
    page = get_text(support.get(address))
    assert "2 mailboxes change, 1 stays unchanged." in page
    assert "ann@acme.example, bob@acme.example: changes 2 of 3 mailboxes" in page
    assert "Remove recipients → OLD@acme.example: changes 1 of 3 mailboxes" in page
    response = confirm_preview(support, address)
    assert list_messages(response) == ["Changed: 2 mailboxes."]
    both = ["ann@acme.example", "bob@acme.example"]
    assert read_addresses(mailboxes) == [["Ann@acme.example", both[1]], both[::-1], both]
    assert [Mailbox.objects.get(pk=mailbox.pk).version for mailbox in mailboxes] == [3, 4, 3]
    support.post(get_undo_address(response))
    assert read_addresses(mailboxes) == before


def test_mailbox_without_room_for_all_new_recipients_is_named_and_gets_none(support, account):
    full, other = create_desks(account, 2)
    rows = (
        EmailRecipient(mailbox=full, email=f"{number}@acme.example", position=number)
        for number in range(49)
    )
    EmailRecipient.objects.bulk_create(rows)
    two = "ann@acme.example, bob@acme.example"
    address = get_address([full, other], add=two)
    page = get_text(support.get(address))
    assert "1 mailbox changes, 1 stays unchanged." in page
    assert "none is added to it: Desk 000. A mailbox has at most 50 recipients." in page
    confirm_preview(support, address)
    assert [len(addresses) for addresses in read_addresses([full, other])] == [49, 2]
    confirm_preview(support, get_address([full], add=two, remove="7@acme.example"))
    assert len(read_values(full)["recipients"]) == 50


def test_selection_of_deleted_mailboxes_is_explained(support, account):
    (mailbox,) = create_desks(account, 1)
    mailbox.soft_delete()
    assert list_messages(support.get(get_address([mailbox]), follow=True)) == [DELETED]


@pytest.mark.parametrize(
    "query", ["", "?uuid=x", "?uuid=31347d42-00bd-44a5-9b5c-20dc4197a2f6", "?all=on&account=nobody"]
)
def test_empty_selection_is_explained(support, account, query):
    create_desks(account, 1)
    response = support.get(CHANGE + query, follow=True)
    assert list_messages(response) == ["No mailbox was selected. Select some rows first."]


def test_viewer_sees_no_bulk_buttons(viewer, account):
    create_desks(account, 2)[0].soft_delete()
    for query in ("", "?state=deleted"):
        assert 'formaction="/bulk/' not in viewer.get(f"/{query}").content.decode()


def test_query_count_does_not_grow_with_the_rows(support, account, django_assert_num_queries):
    for rows in (2, 60):
        create_desks(Account.objects.create(name=f"account-{rows}"), rows)
        # Session, user, permissions twice, second factor; count, versions, effects, rows.
        with django_assert_num_queries(9):
            support.get(f"{CHANGE}?all=on&to-transcribe=on")
