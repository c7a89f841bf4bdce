"""The quota of an account's active mailboxes, on the staff pages."""

import pytest

from mailboxes.models import Mailbox
from tests.console.conftest import create_desks, get_undo_address, list_messages
from tests.console.pages import get_errors

FULL = "The account “acme” can have at most 2 active mailboxes. Ask your administrator for more (MAX_MAILBOXES_PER_ACCOUNT)."


@pytest.fixture(autouse=True)
def quota(settings):
    settings.MAX_MAILBOXES_PER_ACCOUNT = 2


@pytest.fixture
def deleted(support, sales):
    """Return a deleted mailbox of an account that has become full since."""
    response = support.post(f"/mailboxes/{sales.pk}/delete/", follow=True)
    sales.undo_address = get_undo_address(response)
    create_desks(sales.account, 2)
    return sales


def is_refused(response, mailbox):
    mailbox.refresh_from_db()
    return list_messages(response) == [FULL] and mailbox.is_deleted


def test_new_mailbox_is_refused(support, account):
    create_desks(account, 2)
    response = support.post("/mailboxes/new/", {"account": "acme", "name": "Sales"})
    assert get_errors(response) == {"account": [FULL]}
    assert Mailbox.objects.count() == 2


def test_new_mailbox_is_created_below_the_quota(support, account):
    create_desks(account, 1)
    response = support.post("/mailboxes/new/", {"account": "acme", "name": "Sales"}, follow=True)
    assert list_messages(response) == ["Created: “Sales”."]


def test_restoration_is_refused(support, deleted):
    response = support.post(f"/mailboxes/{deleted.pk}/restore/", follow=True)
    assert is_refused(response, deleted)


def test_restoration_of_many_is_refused(support, deleted):
    address = f"/bulk/restore/?state=deleted&uuid={deleted.pk}"
    digest = support.get(address).context["selection"].digest
    assert is_refused(support.post(address, {"digest": digest}), deleted)


def test_undo_of_a_deletion_is_refused(support, deleted):
    assert is_refused(support.post(deleted.undo_address, follow=True), deleted)
    Mailbox.objects.active().first().soft_delete()
    support.post(deleted.undo_address)
    deleted.refresh_from_db()
    assert not deleted.is_deleted


def test_earlier_state_of_a_deleted_mailbox_is_refused(support, deleted):
    address = f"/mailboxes/{deleted.pk}/put-back/"
    assert is_refused(support.post(address, {"version": 1}, follow=True), deleted)


def test_mailboxes_above_a_lowered_quota_can_be_changed(support, account, settings):
    desk, *_ = create_desks(account, 2)
    settings.MAX_MAILBOXES_PER_ACCOUNT = 1
    address = f"/bulk/change/?uuid={desk.pk}&to-transcribe=on"
    digest = support.get(address).context["selection"].digest
    support.post(address, {"digest": digest})
    desk.refresh_from_db()
    assert desk.transcribe
