"""Removal of old history: what stays, and what can still be put back and undone."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes import batches, trimming
from mailboxes.history import HistoryPage
from mailboxes.models import Batch, EmailRecipient, Mailbox
from tests.console.conftest import create_desks, read_values
from tests.histories import let_pass, rename_often


@pytest.fixture
def rosa(db):
    return User.objects.create_user("rosa")


@pytest.fixture(autouse=True)
def limits(settings):
    settings.HISTORY_DAYS, settings.HISTORY_CHANGES = 30, 100


@pytest.fixture
def sales(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    for name in ("ann", "bob"):
        mailbox.add_recipient(f"{name}@acme.example")
    return Mailbox.objects.get()


def list_actions(mailbox):
    """Return the actions of the whole history, the oldest first."""
    page = HistoryPage(Mailbox.objects.get(pk=mailbox.pk), 1000)
    return [change.action for change in reversed(page.changes)]


def count_rows(mailbox) -> tuple[int, int]:
    recipients = EmailRecipient.history.filter(mailbox_id=mailbox.pk)
    return mailbox.history.count(), recipients.count()


def rename(mailbox, name):
    mailbox.name = name
    mailbox.save()


def remove_recipient(mailbox, name):
    mailbox.email_recipients.get(email__startswith=name).delete()
    mailbox.refresh_from_db()


def test_changes_past_the_days_are_removed(sales):
    rename(sales, "Old")
    remove_recipient(sales, "bob")
    let_pass(days=31)
    rename(sales, "New")
    assert trimming.trim_histories() == 3  # the creation, and both rows of Bob
    assert list_actions(sales) == ["changed"]
    (change,) = HistoryPage(sales, 10).changes
    assert (change.before, change.after) == ({"name": "Old"}, {"name": "New"})


def test_changes_beyond_the_number_are_removed(sales, settings):
    rename_often(sales, 300)
    trimming.trim_histories()
    assert count_rows(sales) == (settings.HISTORY_CHANGES + 1, 2)  # with the state before
    assert len(list_actions(sales)) == settings.HISTORY_CHANGES


def test_changes_of_recipients_count_too(sales, settings):
    settings.HISTORY_CHANGES = 4
    for _time in range(5):
        sales.add_recipient("cleo@acme.example")
        remove_recipient(sales, "cleo")
    trimming.trim_histories()
    assert list_actions(sales) == ["recipient added", "recipient removed"] * 2
    assert count_rows(sales) == (1, 2 + 4)


def test_recent_history_stays(sales):
    rename(sales, "Support")
    before = list_actions(sales)
    let_pass(days=29)
    assert trimming.trim_histories() == 0
    assert list_actions(sales) == before


def test_newest_state_stays_however_old(sales):
    let_pass(days=1000)
    assert trimming.trim_histories() == 0
    assert list_actions(sales) == ["created", "recipient added", "recipient added"]


def test_second_run_removes_nothing(sales):
    rename(sales, "Support")
    let_pass(days=31)
    rename_often(sales, 300)
    assert trimming.trim_histories() > 200
    assert trimming.trim_histories() == 0


def test_history_is_trimmed_again_later(sales):
    for name in ("First", "Second"):
        rename(sales, name)
        let_pass(days=31)
        trimming.trim_histories()
    rename(sales, "Third")
    assert list_actions(sales) == ["changed"]
    assert count_rows(sales) == (2, 2)


def test_time_of_a_wrong_clock_removes_no_recent_change(sales):
    rename(sales, "Support")
    sales.history.filter(name="Support").update(history_date="1970-01-01T00:00:00Z")
    rename(sales, "Service")
    assert trimming.trim_histories() == 0


def test_history_of_a_deleted_mailbox_is_trimmed(sales):
    rename(sales, "Support")
    let_pass(days=31)
    sales.soft_delete()
    trimming.trim_histories()
    assert list_actions(sales) == ["deleted"]


def test_other_mailboxes_stay(sales, account):
    (desk,) = create_desks(account, 1)
    rename(sales, "Support")
    let_pass(days=31)
    rename(desk, "Lobby")
    trimming.trim_histories()
    assert list_actions(desk) == ["created", "changed"]


def test_last_page_says_that_older_changes_were_removed(sales):
    rename(sales, "Support")
    assert not HistoryPage(sales, 10).is_trimmed
    let_pass(days=31)
    rename_often(sales, 20)
    trimming.trim_histories()
    page = HistoryPage(sales, 10)
    assert (page.is_trimmed, page.older) == (False, sales.version - 9)
    page = HistoryPage(sales, 10, page.older)
    assert (page.is_trimmed, page.older, len(page.changes)) == (True, None, 10)
    page = HistoryPage(sales, 10, 2)  # as an address from before the removal has it
    assert (page.is_trimmed, page.older, page.changes) == (True, None, [])


def test_kept_state_is_put_back_with_its_recipients(sales, rosa):
    let_pass(days=31)
    rename(sales, "Support")
    before = read_values(sales)
    version = sales.version
    remove_recipient(sales, "ann")
    rename_often(sales, 50)
    trimming.trim_histories()
    batches.revert_to(sales, version, rosa)
    assert read_values(sales) == before


def test_removed_state_is_not_put_back(sales, rosa):
    version = sales.version
    rename(sales, "Support")
    remove_recipient(sales, "ann")
    let_pass(days=31)
    rename(sales, "Service")
    trimming.trim_histories()
    before = read_values(sales)
    for removed in range(1, version + 2):
        with pytest.raises(batches.HistoryTrimmedError):
            batches.revert_to(sales, removed, rosa)
    assert read_values(sales) == before


def test_interrupted_removal_puts_back_nothing_of_what_was_marked(sales, rosa, monkeypatch):
    rename(sales, "Support")
    let_pass(days=31)
    rename(sales, "Service")
    monkeypatch.setattr(trimming, "remove", lambda rows: 0)
    trimming.trim_histories()
    with pytest.raises(batches.HistoryTrimmedError):
        batches.revert_to(sales, 1, rosa)
    assert list_actions(sales) == ["changed"]
    monkeypatch.undo()
    assert trimming.trim_histories() == 1


def test_removed_part_of_a_batch_is_counted_and_not_undone(account, rosa):
    one, two = create_desks(account, 2)
    batch = batches.change_each(
        rosa, Batch.Action.DELETED, {one.pk: 1, two.pk: 1}, batches.mark_deleted
    )
    one.refresh_from_db()
    rename_often(one, 300)
    trimming.trim_histories()
    assert batches.count_unknown(batch) == 1
    undoing, skipped = batches.undo_batch(batch, rosa)
    assert (undoing.count, skipped) == (1, [])
    assert read_values(one)["deleted_at"]
    assert not read_values(two)["deleted_at"]


def test_undo_of_a_trimmed_creation_deletes_nothing(account, rosa):
    mailbox = Mailbox(account=account, name="New")
    batch = Batch.objects.create(user=rosa, action=Batch.Action.CREATED)
    recipient = EmailRecipient(mailbox=mailbox, email="ann@acme.example")
    batches.write_batch(batch, created=[mailbox], added=[recipient])
    rename_often(mailbox, 300)
    trimming.trim_histories()
    before = read_values(mailbox)
    assert batches.undo_batch(batch, rosa) == (None, [])
    assert batches.count_unknown(batch) == 1
    assert read_values(mailbox) == before


def test_old_batch_without_history_is_removed(sales, rosa):
    batches.change_each(rosa, Batch.Action.CHANGED, {sales.pk: sales.version}, lambda mailbox: True)
    let_pass(days=31)
    trimming.trim_histories()
    assert not Batch.objects.exists()


def test_old_batch_that_can_be_undone_stays(account, rosa):
    mailbox = Mailbox(account=account, name="New")
    batch = Batch.objects.create(user=rosa, action=Batch.Action.CREATED)
    batches.write_batch(batch, created=[mailbox])
    let_pass(days=31)
    trimming.trim_histories()
    assert Batch.objects.get() == batch


def test_rows_are_removed_in_short_transactions(sales):
    rename_often(sales, 2000)
    with CaptureQueriesContext(connection) as captured:
        trimming.trim_histories()
    history = Mailbox.history.model._meta.db_table
    removals = [row["sql"] for row in captured if row["sql"].startswith(f'DELETE FROM "{history}"')]
    assert len(removals) == 4
    assert all(sql.count(",") < trimming.CHUNK for sql in removals)


def test_short_histories_cost_no_query_each(account, django_assert_num_queries):
    create_desks(account, 50)
    # Busy mailboxes, both histories, batches, messages; twice for accounts, credentials and sounds.
    with django_assert_num_queries(11):
        trimming.trim_histories()


def test_changes_by_the_version_before_are_put_in_order(sales, rosa):
    rename(sales, "Support")
    older = Batch.objects.create(user=rosa, action=Batch.Action.CHANGED)
    cleo = sales.add_recipient("cleo@acme.example")
    batch = Batch.objects.create(user=rosa, action=Batch.Action.CHANGED)
    # A process of the version before fills in neither.
    EmailRecipient.history.filter(uuid=cleo.pk).update(version=0)
    Batch.objects.filter(pk=batch.pk).update(number=0)
    rename(sales, "Service")
    newer = Batch.objects.create(user=rosa, action=Batch.Action.CHANGED)
    trimming.place_rows_of_upgrade()
    assert list_actions(sales)[-3:] == ["changed", "recipient added", "changed"]
    assert list(Batch.objects.all()) == [newer, batch, older]
