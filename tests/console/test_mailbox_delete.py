"""Delete and restore one mailbox."""

import re
from html import escape
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


def test_retention_period_and_author_are_shown(support, sales, settings):
    settings.RETENTION_DAYS = 7
    press_button(support, sales, "delete")
    page = get_text(support.get(f"/mailboxes/{sales.pk}/"))
    assert "Deleted by support" in page
    assert "It can be restored for 7 days after that. 7 days are left." in page


def test_table_comes_back_as_it_was_filtered(support, sales):
    table = "/?q=sal&order=-updated&page=1"
    page = support.get(table).content.decode()
    address = re.search(rf'href="(/mailboxes/{sales.pk}/[^"]*)"', page)[1]
    page = support.get(address).content.decode()
    assert page.count(f'href="{escape(table)}"') == 1
    response = support.post(re.search(r'action="(\S+/delete/[^"]*)"', page)[1])
    assert response.headers["Location"] == table


def test_table_is_kept_while_the_mailbox_is_changed(support, sales):
    query = "?list=q%3Dsal"
    response = support.post(
        f"/mailboxes/{sales.pk}/recipients/{query}", {"email": "b@acme.example"}
    )
    assert response.headers["Location"] == f"/mailboxes/{sales.pk}/{query}"
    page = support.get(f"/mailboxes/{sales.pk}/history/{query}").content.decode()
    assert 'href="/?q=sal"' in page
    assert f'href="/mailboxes/{sales.pk}/{query}"' in page


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
