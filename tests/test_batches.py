"""Batches: changes of many mailboxes, undo, and going back to an earlier state."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mailboxes import batches
from mailboxes.models import Batch, EmailRecipient, Mailbox
from tests.console.conftest import create_desks, read_values


@pytest.fixture
def rosa(db):
    return User.objects.create_user("rosa")


@pytest.fixture
def batch(rosa):
    return Batch.objects.create(user=rosa, action=Batch.Action.CHANGED)


@pytest.fixture
def sales(account):
    mailbox = Mailbox(account=account, name="Sales", greeting=uuid4())
    mailbox.password = "7392"
    mailbox.save()
    mailbox.add_recipient("ann@acme.example")
    return Mailbox.objects.get()


def change(batch, mailbox, **fields):
    (locked,) = batches.lock_for_update([mailbox.pk])
    for field, value in fields.items():
        setattr(locked, field, value)
    batches.write_batch(batch, changed=[locked])
    return locked


def make_recipient(mailbox, email):
    return EmailRecipient(mailbox=mailbox, email=email)


def test_change_adds_a_version_and_a_history_row_to_each_mailbox(batch, account, rosa):
    for mailbox in create_desks(account, 3):
        change(batch, mailbox, transcribe=True)
    for mailbox in Mailbox.objects.all():
        row = mailbox.history.latest()
        assert (mailbox.version, mailbox.transcribe) == (2, True)
        assert mailbox.updated_at > mailbox.created_at
        assert (row.history_user, row.history_batch, row.version) == (rosa, batch, 2)
        assert row.history_type == "~"
    assert (batch.count, batch.name) == (3, "")


def test_change_of_recipients_is_a_change_of_the_mailbox(batch, sales):
    (locked,) = batches.lock_for_update([sales.pk])
    ann = locked.email_recipients.get()
    ann.mailbox = locked
    batches.write_batch(batch, added=[make_recipient(locked, "bob@acme.example")], removed=[ann])
    assert read_values(sales)["recipients"] == ["bob@acme.example"]
    assert Mailbox.objects.get().version == sales.version + 1
    kinds = EmailRecipient.history.filter(history_batch=batch).values_list("history_type", "email")
    assert sorted(kinds) == [("+", "bob@acme.example"), ("-", "ann@acme.example")]
    assert (batch.count, batch.name) == (1, "Sales")


def test_mailbox_is_created_with_recipients(batch, account):
    mailbox = Mailbox(account=account, name="New")
    batches.write_batch(
        batch, created=[mailbox], added=[make_recipient(mailbox, "ann@acme.example")]
    )
    assert read_values(mailbox)["recipients"] == ["ann@acme.example"]
    assert Mailbox.objects.get().version == 1
    assert mailbox.history.get().history_type == "+"


def test_undo_restores_settings_and_recipients(batch, sales, rosa):
    before = read_values(sales)
    locked = change(
        batch, sales, name="Support", password="0001", greeting=None, deleted_at=timezone.now()
    )
    other = Batch.objects.create(user=rosa, action=Batch.Action.CHANGED)
    (ann,) = locked.email_recipients.all()
    ann.mailbox = locked
    batches.write_batch(other, removed=[ann], added=[make_recipient(locked, "bob@acme.example")])
    for done in (batch, other):  # recipients of a deleted mailbox cannot change
        undoing, skipped = batches.undo_batch(done, rosa)
        assert (undoing.action, undoing.count, skipped) == ("undone", 1, [])
    assert read_values(sales) == before
    assert EmailRecipient.objects.get().uuid == ann.uuid


def test_undo_can_be_undone(batch, sales, rosa):
    change(batch, sales, name="Support")
    undoing, _ = batches.undo_batch(batch, rosa)
    batches.undo_batch(undoing, rosa)
    assert read_values(sales)["name"] == "Support"


def test_undo_of_a_creation_deletes_the_mailbox(batch, account, rosa):
    mailbox = Mailbox(account=account, name="New")
    batches.write_batch(
        batch, created=[mailbox], added=[make_recipient(mailbox, "ann@acme.example")]
    )
    batches.undo_batch(batch, rosa)
    assert read_values(mailbox)["deleted_at"] is not None
    assert read_values(mailbox)["recipients"] == ["ann@acme.example"]


def test_mailbox_deleted_again_by_undo_gets_the_full_retention_time(batch, sales, rosa):
    sales.deleted_at = timezone.now() - timedelta(days=40)
    sales.save()
    change(batch, sales, deleted_at=None)
    batches.undo_batch(batch, rosa)
    assert not Mailbox.objects.active().exists()
    assert not Mailbox.objects.past_retention().exists()


def test_undo_skips_a_mailbox_with_the_same_setting_changed_since(batch, account, rosa):
    one, two = create_desks(account, 2)
    change(batch, one, transcribe=True, name="One")
    change(batch, two, transcribe=True)
    later = Mailbox.objects.get(pk=one.pk)
    later.turn_transcription(on=False)
    undoing, skipped = batches.undo_batch(batch, rosa)
    assert undoing.count == 1
    assert skipped == [one]
    assert (read_values(one)["name"], read_values(two)["transcribe"]) == ("One", False)


def test_undo_keeps_later_changes_of_other_settings(batch, sales, rosa):
    change(batch, sales, transcribe=True)
    later = Mailbox.objects.get()
    later.name = "Support"
    later.save()
    _, skipped = batches.undo_batch(batch, rosa)
    assert skipped == []
    assert (read_values(sales)["name"], read_values(sales)["transcribe"]) == ("Support", False)


def test_undo_of_a_creation_skips_a_mailbox_in_use(batch, account, rosa):
    mailbox = Mailbox(account=account, name="New")
    batches.write_batch(batch, created=[mailbox])
    mailbox.add_recipient("ann@acme.example")
    assert batches.undo_batch(batch, rosa) == (None, [mailbox])
    assert Batch.objects.get().undone_at is None
    assert read_values(mailbox)["deleted_at"] is None


def test_second_undo_is_refused(batch, sales, rosa):
    change(batch, sales, name="Support")
    batches.undo_batch(batch, rosa)
    with pytest.raises(batches.AlreadyUndoneError):
        batches.undo_batch(batch, rosa)


def test_undo_of_a_purged_mailbox_changes_nothing(batch, sales, rosa):
    change(batch, sales, name="Support")
    sales.delete()
    assert batches.undo_batch(batch, rosa) == (None, [])


def test_undo_does_not_duplicate_an_address_added_since(batch, sales, rosa):
    (locked,) = batches.lock_for_update([sales.pk])
    (ann,) = locked.email_recipients.all()
    ann.mailbox = locked
    batches.write_batch(batch, removed=[ann])
    sales.add_recipient("Ann@acme.example")
    batches.undo_batch(batch, rosa)
    assert read_values(sales)["recipients"] == ["Ann@acme.example"]


def test_change_each_is_all_or_none(account, rosa):
    one, two = create_desks(account, 2)
    versions = {one.pk: 1, two.pk: 1}
    two.turn_transcription(on=True)
    with pytest.raises(batches.ChangedMeanwhileError):
        batches.change_each(rosa, Batch.Action.DELETED, versions, batches.mark_deleted)
    assert Mailbox.objects.active().count() == 2
    assert not Batch.objects.exists()


def test_change_each_takes_few_queries(account, rosa, django_assert_max_num_queries):
    mailboxes = create_desks(account, 400)
    versions = {mailbox.pk: mailbox.version for mailbox in mailboxes}
    with django_assert_max_num_queries(40):  # SQLite accepts some dozens of rows in one statement
        batches.change_each(rosa, Batch.Action.DELETED, versions, batches.mark_deleted)
    assert not Mailbox.objects.active().exists()


def test_put_back_restores_an_earlier_state(sales, rosa):
    before = read_values(sales)
    version = Mailbox.objects.get().version
    sales.email_recipients.get().delete()
    sales = Mailbox.objects.get()
    sales.add_recipient("bob@acme.example")
    sales.name, sales.password = "Support", "0001"
    sales.save()
    sales.soft_delete()
    batch = batches.revert_to(sales, version, rosa)
    assert read_values(sales) == before
    assert (batch.action, batch.count) == ("put back", 1)
    batches.undo_batch(batch, rosa)
    assert read_values(sales)["name"] == "Support"
    assert read_values(sales)["recipients"] == ["bob@acme.example"]
    assert read_values(sales)["deleted_at"] is not None


def test_put_back_restores_the_order_of_recipients(sales, rosa):
    for name in ("bob", "cleo"):
        sales.add_recipient(f"{name}@acme.example")
    version = Mailbox.objects.get().version
    sales.email_recipients.exclude(email__startswith="cleo").first().delete()
    sales.add_recipient("dan@acme.example")
    batch = batches.revert_to(sales, version, rosa)
    assert read_values(sales)["recipients"] == [f"{n}@acme.example" for n in ("ann", "bob", "cleo")]
    batches.undo_batch(batch, rosa)
    assert read_values(sales)["recipients"] == [f"{n}@acme.example" for n in ("bob", "cleo", "dan")]


def test_put_back_restores_the_place_of_a_recipient_added_again(sales, rosa):
    sales.add_recipient("bob@acme.example")
    version = Mailbox.objects.get().version
    sales.email_recipients.get(email__startswith="ann").delete()
    sales.add_recipient("Ann@acme.example")
    batch = batches.revert_to(sales, version, rosa)
    assert read_values(sales)["recipients"] == ["ann@acme.example", "bob@acme.example"]
    batches.undo_batch(batch, rosa)
    assert read_values(sales)["recipients"] == ["bob@acme.example", "Ann@acme.example"]


def test_put_back_to_a_version_before_the_creation_is_refused(sales, rosa):
    with pytest.raises(batches.HistoryTrimmedError):
        batches.revert_to(sales, 0, rosa)


def test_put_back_undoes_an_address_moved_between_recipients(sales, rosa):
    bob = sales.add_recipient("bob@acme.example")
    version = Mailbox.objects.get().version
    bob.delete()
    ann = EmailRecipient.objects.get()
    ann.email = "bob@acme.example"
    ann.save()
    batch = batches.revert_to(sales, version, rosa)
    assert read_values(sales)["recipients"] == ["ann@acme.example", "bob@acme.example"]
    batches.undo_batch(batch, rosa)
    assert read_values(sales)["recipients"] == ["bob@acme.example"]
