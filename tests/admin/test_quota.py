"""The quota of an account's active mailboxes, in the admin."""

import pytest

from mailboxes.models import Mailbox
from tests.admin.browser import get_errors

FULL = "The account “acme” can have at most 1 active mailboxes. Ask your administrator for more (MAX_MAILBOXES_PER_ACCOUNT)."


@pytest.fixture(autouse=True)
def quota(settings):
    settings.MAX_MAILBOXES_PER_ACCOUNT = 1


def test_new_mailbox_is_refused(staff, mailbox):
    page = staff.save("mailbox_add", account=mailbox.account.pk, name="Support")
    assert get_errors(page) == {"account": [FULL]}
    assert Mailbox.objects.get() == mailbox


def test_restoration_is_refused(staff, mailbox):
    mailbox.soft_delete()
    Mailbox.objects.create(account=mailbox.account, name="Support")
    page = staff.run_action("mailbox_changelist", "restore", mailbox, query="?state=deleted")
    assert FULL in staff.get(page.url).text
    mailbox.refresh_from_db()
    assert mailbox.is_deleted


def test_restoration_of_many_restores_all_or_none(staff, mailbox):
    other = Mailbox.objects.create(account=mailbox.account, name="Support")
    for each in (mailbox, other):
        each.soft_delete()
    staff.run_action("mailbox_changelist", "restore", mailbox, other, query="?state=deleted")
    assert not Mailbox.objects.active().exists()
