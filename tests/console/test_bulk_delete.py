"""Many mailboxes deleted at once, and restored."""

import pytest

from mailboxes.models import Batch, EmailRecipient, Mailbox
from tests.console.conftest import desks, messages, undo_address
from tests.console.pages import words
from tests.console.test_bulk_change import confirm


def active():
    return Mailbox.objects.active().count()


def chosen(mailboxes):
    return "&".join(f"uuid={mailbox.pk}" for mailbox in mailboxes)


def test_says_what_will_be_deleted(support, account, stranger):
    page = words(support.get(f"/bulk/delete/?{chosen(desks(account, 30) + desks(stranger, 1))}"))
    assert "Delete 31 mailboxes" in page
    assert "They belong to 2 accounts." in page
    assert "can be restored for 30 days" in page
    assert "and 11 more" in page
    assert active() == 31


def test_deletes_and_undoes(support, account):
    mailboxes = desks(account, 3)
    mailboxes[0].add_recipient("ann@acme.example")
    response = confirm(support, f"/bulk/delete/?{chosen(mailboxes[:2])}")
    assert messages(response) == ["Deleted: 2 mailboxes."]
    assert (active(), EmailRecipient.objects.count()) == (1, 1)
    support.post(undo_address(response))
    assert active() == 3


def test_restores_and_undoes(support, account):
    mailboxes = desks(account, 3)
    for mailbox in mailboxes:
        mailbox.soft_delete()
    response = confirm(support, "/bulk/restore/?all=on&state=deleted")
    assert messages(response) == ["Restored: 3 mailboxes."]
    assert active() == 3
    assert response.redirect_chain[-1][0] == "/?state=deleted"
    support.post(undo_address(response))
    assert active() == 0


def test_a_post_that_has_seen_no_page_does_nothing(support, account):
    support.post(f"/bulk/delete/?{chosen(desks(account, 1))}")
    assert active() == 1


@pytest.mark.parametrize("action", ["delete", "change"])
def test_what_is_deleted_is_restored_before_anything_else(support, account, action):
    one, two = desks(account, 2)
    one.soft_delete()
    where = f"/bulk/{action}/?{chosen([one, two])}&to-transcribe=on"
    assert words(support.get(where)).count("1 mailbox ") >= 1
    confirm(support, where)
    assert Batch.objects.get().name == "Desk 001"
    one.refresh_from_db()
    assert (one.version, one.transcribe) == (2, False)


def test_pressing_twice_is_nothing_to_do_the_second_time(support, account):
    where = f"/bulk/delete/?{chosen(desks(account, 2))}"
    confirm(support, where)
    response = support.post(where, follow=True)
    assert messages(response) == ["Nothing was done: these mailboxes are deleted."]
    confirm(support, where.replace("delete", "restore"))
    response = support.post(where.replace("delete", "restore"), follow=True)
    assert messages(response) == ["Nothing was done: none of these mailboxes is deleted."]
    assert Batch.objects.count() == 2
