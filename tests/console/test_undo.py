"""What staff did, listed, and undone."""

from uuid import uuid4

import pytest

from mailboxes import batches
from mailboxes.models import Batch, Mailbox
from tests.console.conftest import desks, messages, staff, undo_address


@pytest.fixture
def deleted(support, sales):
    """A mailbox that Support has deleted: the batch."""
    support.post(f"/mailboxes/{sales.pk}/delete/", follow=True)
    return Batch.objects.get()


def test_lists_what_was_done_by_whom(support, viewer, deleted):
    page = viewer.get("/changes/").content.decode()
    assert "Deleted: “Sales”." in page
    assert "support" in page


def test_leads_to_the_history_of_the_only_mailbox(support, sales, deleted):
    support.post(f"/mailboxes/{sales.pk}/restore/")
    support.post(f"/mailboxes/{sales.pk}/recipients/", {"email": "bob@acme.example"})
    page = support.get("/changes/").content.decode()
    assert page.count(f'href="/mailboxes/{sales.pk}/history/"') == 3


def test_leads_nowhere_from_several(support, account):
    versions = {mailbox.pk: 1 for mailbox in desks(account, 2)}
    batches.change_each(support.user, Batch.Action.DELETED, versions, batches.delete_each)
    assert "/history/" not in support.get("/changes/").content.decode()


def test_undoes_from_the_list_once(support, deleted):
    response = support.post(f"/changes/{deleted.pk}/undo/", follow=True)
    assert messages(response) == ["Undone: “Sales”."]
    assert not Mailbox.objects.get().is_deleted
    response = support.post(f"/changes/{deleted.pk}/undo/", follow=True)
    assert messages(response) == ["This change was already undone."]
    assert not Mailbox.objects.get().is_deleted


def test_an_undo_can_be_undone(support, deleted):
    response = support.post(f"/changes/{deleted.pk}/undo/", follow=True)
    support.post(undo_address(response))
    assert Mailbox.objects.get().is_deleted


def test_says_what_has_changed_since(support, deleted):
    Mailbox.objects.get().restore()
    Mailbox.objects.get().soft_delete()
    response = support.post(f"/changes/{deleted.pk}/undo/", follow=True)
    assert messages(response) == ["1 mailbox has changed since and was not undone: Sales"]
    assert Mailbox.objects.get().is_deleted


def test_names_only_some_of_many(support, account):
    versions = {mailbox.pk: 1 for mailbox in desks(account, 7)}
    batch = batches.change_each(support.user, Batch.Action.DELETED, versions, batches.delete_each)
    Mailbox.objects.update(name="y", deleted_at=None)
    response = support.post(f"/changes/{batch.pk}/undo/", follow=True)
    assert "7 mailboxes have changed since" in messages(response)[0]
    assert messages(response)[0].endswith("y, y, y, y, y, …")


def test_goes_back_to_the_page_it_was_pressed_on(support, deleted):
    response = support.post(f"/changes/{deleted.pk}/undo/", {"next": "/?q=sales"})
    assert response.headers["Location"] == "/?q=sales"


def test_viewer_may_not(viewer, deleted):
    assert "Undo</button>" not in viewer.get("/changes/").content.decode()


def test_who_may_not_delete_may_not_undo_a_deletion(deleted):
    editor = staff("view_mailbox", "change_mailbox")
    assert editor.post(f"/changes/{deleted.pk}/undo/").status_code == 403


def test_who_may_not_delete_may_not_undo_that_a_deletion_was_undone(support, deleted):
    support.post(f"/changes/{deleted.pk}/undo/")
    undoing = Batch.objects.get(action="undone")
    editor = staff("view_mailbox", "change_mailbox")
    assert editor.post(f"/changes/{undoing.pk}/undo/").status_code == 403
    assert not Mailbox.objects.get().is_deleted


def test_who_may_not_undo_the_undoing_is_shown_no_button(sales):
    editor = staff("view_mailbox", "change_mailbox")
    batch = batches.change_each(
        editor.user, Batch.Action.CHANGED, {sales.pk: sales.version}, lambda mailbox: True
    )
    response = editor.post(f"/changes/{batch.pk}/undo/", follow=True)
    assert messages(response) == ["Undone: “Sales”."]
    assert "Undo</button>" not in response.content.decode()


def test_what_is_not_there(support):
    assert support.post(f"/changes/{uuid4()}/undo/").status_code == 404
    assert support.get(f"/changes/{uuid4()}/undo/").status_code == 405


def test_empty_says_what_it_will_hold(viewer):
    assert "No changes yet" in viewer.get("/changes/").content.decode()


def test_as_many_queries_whatever_the_rows(support, django_assert_num_queries):
    for rows in (2, 40):
        for _ in range(rows):
            Batch.objects.create(user=support.user, action=Batch.Action.CHANGED, count=2)
        with django_assert_num_queries(
            7
        ):  # session, user, permissions twice, second factor; count, rows
            support.get("/changes/")
