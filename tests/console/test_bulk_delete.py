"""Delete and restore many mailboxes at once."""

import pytest

from mailboxes.models import Batch, EmailRecipient, Mailbox
from tests.console.conftest import create_desks, get_undo_address, list_messages
from tests.console.pages import get_text
from tests.console.test_bulk_change import confirm_preview


def count_active():
    return Mailbox.objects.active().count()


def build_query(mailboxes):
    return "&".join(f"uuid={mailbox.pk}" for mailbox in mailboxes)


def test_preview_lists_the_mailboxes(support, account, stranger):
    page = get_text(
        support.get(
            f"/bulk/delete/?{build_query(create_desks(account, 30) + create_desks(stranger, 1))}"
        )
    )
    assert "Delete 31 mailboxes" in page
    assert "They belong to 2 accounts." in page
    assert "For 30 days you can restore what you delete." in page
    assert "1–20 of 31" in page
    assert count_active() == 31


@pytest.mark.parametrize("action", ["delete", "restore"])
def test_preview_of_one_mailbox_is_in_the_singular(support, account, action):
    (mailbox,) = create_desks(account, 1)
    if action == "restore":
        mailbox.soft_delete()
    page = support.get(f"/bulk/{action}/?uuid={mailbox.pk}")
    text = get_text(page).partition("Keyboard shortcuts")[0].replace("Mailboxes", "")
    assert "mailboxes" not in text
    assert not {"They", "they", "them", "Their", "their"}.intersection(text.split())


def test_selected_mailboxes_are_deleted_and_undone(support, account):
    mailboxes = create_desks(account, 3)
    mailboxes[0].add_recipient("ann@acme.example")
    response = confirm_preview(support, f"/bulk/delete/?{build_query(mailboxes[:2])}")
    assert list_messages(response) == ["Deleted: 2 mailboxes."]
    assert (count_active(), EmailRecipient.objects.count()) == (1, 1)
    support.post(get_undo_address(response))
    assert count_active() == 3


def test_deleted_mailboxes_are_restored_and_undone(support, account):
    mailboxes = create_desks(account, 3)
    for mailbox in mailboxes:
        mailbox.soft_delete()
    response = confirm_preview(support, "/bulk/restore/?all=on&state=deleted")
    assert list_messages(response) == ["Restored: 3 mailboxes."]
    assert count_active() == 3
    assert response.redirect_chain[-1][0] == "/?state=deleted"
    support.post(get_undo_address(response))
    assert count_active() == 0


def test_post_without_the_selections_digest_deletes_nothing(support, account):
    support.post(f"/bulk/delete/?{build_query(create_desks(account, 1))}")
    assert count_active() == 1


@pytest.mark.parametrize("action", ["delete", "change"])
def test_deleted_mailbox_in_the_selection_is_skipped(support, account, action):
    one, two = create_desks(account, 2)
    one.soft_delete()
    address = f"/bulk/{action}/?{build_query([one, two])}&to-transcribe=on"
    assert get_text(support.get(address)).count("1 mailbox ") >= 1
    if action == "change":
        left_out = (
            "1 of the selected mailboxes was deleted, so it will not change. Restore it first"
        )
        assert left_out in get_text(support.get(address))
    confirm_preview(support, address)
    assert Batch.objects.get().name == "Desk 001"
    one.refresh_from_db()
    assert (one.version, one.transcribe) == (2, False)


def test_repeated_submission_changes_nothing(support, account):
    address = f"/bulk/delete/?{build_query(create_desks(account, 2))}"
    confirm_preview(support, address)
    response = support.post(address, follow=True)
    assert list_messages(response) == ["Nothing was done: these mailboxes are deleted."]
    confirm_preview(support, address.replace("delete", "restore"))
    response = support.post(address.replace("delete", "restore"), follow=True)
    assert list_messages(response) == ["Nothing was done: none of these mailboxes is deleted."]
    assert Batch.objects.count() == 2
