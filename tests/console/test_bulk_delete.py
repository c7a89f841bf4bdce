"""Delete and restore many mailboxes at once."""

import pytest

from mailboxes.models import Batch, EmailRecipient, Mailbox
from tests.console.conftest import desks, messages, undo_address
from tests.console.pages import words
from tests.console.test_bulk_change import confirm


def active():
    return Mailbox.objects.active().count()


def chosen(mailboxes):
    return "&".join(f"uuid={mailbox.pk}" for mailbox in mailboxes)


def test_preview_lists_the_mailboxes(support, account, stranger):
    page = words(support.get(f"/bulk/delete/?{chosen(desks(account, 30) + desks(stranger, 1))}"))
    assert "Delete 31 mailboxes" in page
    assert "They belong to 2 accounts." in page
    assert "can be restored for 30 days" in page
    assert "and 11 more" in page
    assert active() == 31


def test_selected_mailboxes_are_deleted_and_undone(support, account):
    mailboxes = desks(account, 3)
    mailboxes[0].add_recipient("ann@acme.example")
    response = confirm(support, f"/bulk/delete/?{chosen(mailboxes[:2])}")
    assert messages(response) == ["Deleted: 2 mailboxes."]
    assert (active(), EmailRecipient.objects.count()) == (1, 1)
    support.post(undo_address(response))
    assert active() == 3


def test_deleted_mailboxes_are_restored_and_undone(support, account):
    mailboxes = desks(account, 3)
    for mailbox in mailboxes:
        mailbox.soft_delete()
    response = confirm(support, "/bulk/restore/?all=on&state=deleted")
    assert messages(response) == ["Restored: 3 mailboxes."]
    assert active() == 3
    assert response.redirect_chain[-1][0] == "/?state=deleted"
    support.post(undo_address(response))
    assert active() == 0


def test_post_without_digest_deletes_nothing(support, account):
    support.post(f"/bulk/delete/?{chosen(desks(account, 1))}")
    assert active() == 1


@pytest.mark.parametrize("action", ["delete", "change"])
def test_deleted_mailbox_in_the_selection_is_skipped(support, account, action):
    one, two = desks(account, 2)
    one.soft_delete()
    where = f"/bulk/{action}/?{chosen([one, two])}&to-transcribe=on"
    assert words(support.get(where)).count("1 mailbox ") >= 1
    confirm(support, where)
    assert Batch.objects.get().name == "Desk 001"
    one.refresh_from_db()
    assert (one.version, one.transcribe) == (2, False)


def test_repeated_submission_changes_nothing(support, account):
    where = f"/bulk/delete/?{chosen(desks(account, 2))}"
    confirm(support, where)
    response = support.post(where, follow=True)
    assert messages(response) == ["Nothing was done: these mailboxes are deleted."]
    confirm(support, where.replace("delete", "restore"))
    response = support.post(where.replace("delete", "restore"), follow=True)
    assert messages(response) == ["Nothing was done: none of these mailboxes is deleted."]
    assert Batch.objects.count() == 2
