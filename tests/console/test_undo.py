"""The list of changes, and undo."""

from uuid import uuid4

import pytest

from mailboxes import batches, trimming
from mailboxes.models import Batch, Mailbox
from tests.console.conftest import create_desks, get_undo_address, list_messages, sign_in_with
from tests.console.pages import get_text
from tests.console.test_bulk_change import confirm_preview, get_address
from tests.histories import rename_often, set_clock_back


@pytest.fixture
def deleted(support, sales):
    """Return the batch of a mailbox deleted by Support."""
    support.post(f"/mailboxes/{sales.pk}/delete/", follow=True)
    return Batch.objects.get()


def test_changes_are_listed_with_their_author(support, viewer, deleted):
    page = viewer.get("/changes/").content.decode()
    assert "Deleted: “Sales”." in page
    assert "support" in page


def test_second_undo_changes_nothing(support, deleted):
    response = support.post(f"/changes/{deleted.pk}/undo/", follow=True)
    assert list_messages(response) == ["The change of “Sales” was undone."]
    assert not Mailbox.objects.get().is_deleted
    response = support.post(f"/changes/{deleted.pk}/undo/", follow=True)
    assert list_messages(response) == ["This change was already undone."]
    assert not Mailbox.objects.get().is_deleted


def test_undo_can_be_undone(support, deleted):
    response = support.post(f"/changes/{deleted.pk}/undo/", follow=True)
    support.post(get_undo_address(response))
    assert Mailbox.objects.get().is_deleted


def test_mailbox_changed_since_is_named_and_skipped(support, deleted):
    Mailbox.objects.get().restore()
    Mailbox.objects.get().soft_delete()
    response = support.post(f"/changes/{deleted.pk}/undo/", follow=True)
    link = f'<a href="/mailboxes/{Mailbox.objects.get().pk}/">Sales</a>'
    assert list_messages(response) == [f"1 mailbox has changed since and was not undone: {link}"]
    assert Mailbox.objects.get().is_deleted


def test_hostile_name_of_a_skipped_mailbox_is_escaped(support, deleted):
    Mailbox.objects.update(name="<b>Sales", deleted_at=None)
    page = support.post(f"/changes/{deleted.pk}/undo/", follow=True).content.decode()
    assert "&lt;b&gt;Sales</a>" in page
    assert "<b>Sales" not in page


def test_partial_undo_is_counted_in_the_changes(support, account):
    desks = create_desks(account, 4)
    confirm_preview(support, get_address(desks, beep="off"))
    batch = Batch.objects.get()
    desks[0].refresh_from_db()
    desks[0].beep = True
    desks[0].save()
    response = support.post(f"/changes/{batch.pk}/undo/", follow=True)
    assert f'<a href="/mailboxes/{desks[0].pk}/">Desk 000</a>' in response.content.decode()
    for address in ("/changes/", f"/changes/{batch.pk}/"):
        assert "3 of 4 undone" in get_text(support.get(address))


def test_full_undo_is_not_counted_in_the_changes(support, deleted):
    support.post(f"/changes/{deleted.pk}/undo/")
    assert "1 of 1 undone" not in get_text(support.get("/changes/"))
    Batch.objects.filter(action="undone").update(made_at="2020-01-01T00:00Z")  # by an old version
    assert "undone" in get_text(support.get(f"/changes/{deleted.pk}/"))


def test_long_list_of_skipped_mailboxes_is_shortened(support, account):
    versions = {mailbox.pk: 1 for mailbox in create_desks(account, 7)}
    batch = batches.change_each(support.user, Batch.Action.DELETED, versions, batches.mark_deleted)
    Mailbox.objects.update(name="y", deleted_at=None)
    response = support.post(f"/changes/{batch.pk}/undo/", follow=True)
    assert "7 mailboxes have changed since" in list_messages(response)[0]
    assert list_messages(response)[0].endswith(">y</a>, …")
    assert list_messages(response)[0].count(">y</a>") == 5


def test_order_is_kept_when_the_clock_is_set_back(support, deleted):
    set_clock_back()
    support.post(f"/changes/{deleted.pk}/undo/")
    page = support.get("/changes/").context["page"]
    assert [batch.action for batch in page] == ["undone", "deleted"]


def test_change_removed_from_the_history_is_explained(support, account, settings):
    settings.HISTORY_DAYS, settings.HISTORY_CHANGES = 30, 10
    desks = create_desks(account, 3)
    versions = {mailbox.pk: 1 for mailbox in desks}
    batch = batches.change_each(support.user, Batch.Action.DELETED, versions, batches.mark_deleted)
    for mailbox in desks[:2]:
        mailbox.refresh_from_db()
        rename_often(mailbox, 20)
    trimming.trim_histories()
    response = support.post(f"/changes/{batch.pk}/undo/", follow=True)
    assert list_messages(response) == [
        "The change of “Desk 002” was undone.",
        "2 mailboxes were not undone: this change has been removed from their history. "
        "Changes are kept for 30 days, and at most the last 10 of each mailbox.",
    ]


def test_undo_returns_to_the_page_of_the_button(support, deleted):
    response = support.post(f"/changes/{deleted.pk}/undo/", {"next": "/?q=sales"})
    assert response.headers["Location"] == "/?q=sales"


def test_viewer_sees_no_undo_button(viewer, deleted):
    assert "Undo</button>" not in viewer.get("/changes/").content.decode()


def test_undoing_a_deletion_needs_the_delete_mailbox_permission(deleted):
    editor = sign_in_with("view_mailbox", "change_mailbox")
    assert editor.post(f"/changes/{deleted.pk}/undo/").status_code == 403


def test_undoing_the_undo_of_a_deletion_needs_the_delete_mailbox_permission(support, deleted):
    support.post(f"/changes/{deleted.pk}/undo/")
    undoing = Batch.objects.get(action="undone")
    editor = sign_in_with("view_mailbox", "change_mailbox")
    assert editor.post(f"/changes/{undoing.pk}/undo/").status_code == 403
    assert not Mailbox.objects.get().is_deleted


def test_undo_button_needs_the_permission_for_the_reverse_change(sales):
    editor = sign_in_with("view_mailbox", "change_mailbox")
    batch = batches.change_each(
        editor.user, Batch.Action.CHANGED, {sales.pk: sales.version}, lambda mailbox: True
    )
    response = editor.post(f"/changes/{batch.pk}/undo/", follow=True)
    assert list_messages(response) == ["The change of “Sales” was undone."]
    assert "Undo</button>" not in response.content.decode()


def test_unknown_change_is_not_found(support):
    assert support.post(f"/changes/{uuid4()}/undo/").status_code == 404
    assert support.get(f"/changes/{uuid4()}/undo/").status_code == 405


def test_empty_list_is_explained(viewer):
    assert "No changes yet" in viewer.get("/changes/").content.decode()


def test_query_count_does_not_grow_with_the_rows(support, django_assert_num_queries):
    for rows in (2, 40):
        for _ in range(rows):
            Batch.objects.create(user=support.user, action=Batch.Action.CHANGED, count=2)
        # Session, user, permissions twice, second factor; count, rows.
        with django_assert_num_queries(7):
            support.get("/changes/")
