"""Change settings of many mailboxes at once."""

import re
from uuid import uuid4

import pytest

from mailboxes.models import Account, Mailbox
from tests.console.conftest import create_desks, get_undo_address, list_messages, read_values
from tests.console.pages import get_text

CHANGE = "/bulk/change/"


def get_address(mailboxes, **settings):
    chosen = "".join(f"&uuid={mailbox.pk}" for mailbox in mailboxes)
    wanted = "".join(f"&to-{name}={value}" for name, value in settings.items())
    return f"{CHANGE}?{chosen}{wanted}"


def get_digest(browser, address):
    return re.search(r'name="digest" value="(\w+)"', browser.get(address).content.decode())[1]


def confirm_preview(browser, address):
    """Open the preview and confirm it."""
    return browser.post(address, {"digest": get_digest(browser, address)}, follow=True)


def read_transcribe(mailboxes):
    return [Mailbox.objects.get(pk=mailbox.pk).transcribe for mailbox in mailboxes]


def test_preview_counts_the_changes_of_each_setting(support, account):
    one, two, _ = create_desks(account, 3)
    one.turn_transcription(on=True)
    page = get_text(
        support.get(get_address([one, two], transcribe="on", beep="on", greeting="none"))
    )
    assert "Change settings of 2 mailboxes" in page
    assert "Transcribe → on: changes 1 mailbox, 1 already has this value" in page
    assert "Beep → on: all mailboxes already have this value" in page
    assert "Greeting → none: all mailboxes already have this value" in page
    assert "Desk 000" in page
    assert "Desk 002" not in page


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
    assert list_messages(response) == ["Undone: 2 mailboxes."]
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
    assert "have changed since this page was loaded, so nothing was done" in get_text(response)
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
        ({"greeting": "set"}, "Use a UUID"),
        ({"greeting": "set", "sound": "hello"}, "Use a UUID"),
        ({"transcribe": "maybe"}, "maybe is not one of the available choices"),
    ],
)
def test_invalid_setting_is_explained_and_not_applied(support, account, settings, error):
    mailboxes = create_desks(account, 1)
    address = get_address(mailboxes, beep="off", **settings)
    page = support.get(address)
    assert error in get_text(page)
    assert "Make these changes" not in get_text(page)
    support.post(address, {"digest": page.context["selection"].digest})
    assert Mailbox.objects.get().beep is True


def test_preview_without_settings_has_no_button(support, account):
    page = support.get(get_address(create_desks(account, 1)))
    assert "Nothing yet: choose a setting above." in get_text(page)
    assert "Make these changes" not in get_text(page)


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
        # Session, user, permissions twice, second factor; effects, versions, accounts, rows.
        with django_assert_num_queries(9):
            support.get(f"{CHANGE}?all=on&to-transcribe=on")
