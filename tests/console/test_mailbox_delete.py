"""One mailbox deleted from its page, and restored."""

from uuid import uuid4

from mailboxes.models import Batch, Mailbox
from tests.console.conftest import messages, staff, undo_address


def press(browser, mailbox, action):
    return browser.post(f"/mailboxes/{mailbox.pk}/{action}/", follow=True)


def is_deleted():
    return Mailbox.objects.get().is_deleted


def test_deletes_and_undoes(support, sales):
    response = press(support, sales, "delete")
    assert messages(response) == ["Deleted: “Sales”."]
    assert is_deleted()
    support.post(undo_address(response))
    assert not is_deleted()


def test_restores(support, sales):
    sales.soft_delete()
    response = press(support, sales, "restore")
    assert messages(response) == ["Restored: “Sales”."]
    assert not is_deleted()


def test_says_for_how_long_it_can_be_restored(support, sales, settings):
    settings.RETENTION_DAYS = 7
    page = press(support, sales, "delete").client.get(f"/mailboxes/{sales.pk}/")
    assert "It can be restored for 7 days after that." in page.content.decode()


def test_twice_changes_nothing_more(support, sales):
    press(support, sales, "delete")
    version = Mailbox.objects.get().version
    assert messages(press(support, sales, "delete")) == []
    assert Mailbox.objects.get().version == version
    assert Batch.objects.count() == 1


def test_who_may_only_change_may_not(sales):
    editor = staff("view_mailbox", "change_mailbox")
    assert "Delete</button>" not in editor.get(f"/mailboxes/{sales.pk}/").content.decode()
    assert press(editor, sales, "delete").status_code == 403
    assert not is_deleted()


def test_what_is_not_there(support):
    assert support.post(f"/mailboxes/{uuid4()}/delete/").status_code == 404
