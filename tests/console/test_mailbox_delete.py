"""Delete and restore one mailbox."""

from uuid import uuid4

from mailboxes.models import Batch, Mailbox
from tests.console.conftest import get_undo_address, list_messages, sign_in_with
from tests.console.pages import get_text


def press_button(browser, mailbox, action):
    return browser.post(f"/mailboxes/{mailbox.pk}/{action}/", follow=True)


def is_deleted():
    return Mailbox.objects.get().is_deleted


def test_mailbox_is_deleted_and_undone(support, sales):
    response = press_button(support, sales, "delete")
    assert list_messages(response) == ["Deleted: “Sales”."]
    assert is_deleted()
    support.post(get_undo_address(response))
    assert not is_deleted()


def test_mailbox_is_restored(support, sales):
    sales.soft_delete()
    response = press_button(support, sales, "restore")
    assert list_messages(response) == ["Restored: “Sales”."]
    assert not is_deleted()


def test_retention_period_is_shown(support, sales, settings):
    settings.RETENTION_DAYS = 7
    page = press_button(support, sales, "delete").client.get(f"/mailboxes/{sales.pk}/")
    assert "It can be restored for 7 days after that." in page.content.decode()


def test_second_deletion_changes_nothing(support, sales):
    press_button(support, sales, "delete")
    version = Mailbox.objects.get().version
    assert list_messages(press_button(support, sales, "delete")) == []
    assert Mailbox.objects.get().version == version
    assert Batch.objects.count() == 1


def test_deleting_needs_the_delete_mailbox_permission(sales):
    editor = sign_in_with("view_mailbox", "change_mailbox")
    assert "Delete</button>" not in editor.get(f"/mailboxes/{sales.pk}/").content.decode()
    response = press_button(editor, sales, "delete")
    assert response.status_code == 403
    assert "You may not delete mailboxes" in get_text(response)
    assert not is_deleted()


def test_unknown_mailbox_is_not_found(support):
    assert support.post(f"/mailboxes/{uuid4()}/delete/").status_code == 404
