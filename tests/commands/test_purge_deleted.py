"""The `purge_deleted` command."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from mailboxes.delivery.webhooks import send
from mailboxes.models import (
    EmailRecipient,
    Import,
    ImportRow,
    Mailbox,
    ServerProcess,
    WebhookDelivery,
)
from tests.delivery.tasks import note
from tests.delivery.webhooks import create_webhook
from tests.histories import rename_often


@pytest.fixture
def mailboxes(account):
    """Return mailboxes that are active, deleted yesterday, and deleted long ago."""
    boxes = [Mailbox.objects.create(account=account, name=name) for name in ("a", "b", "c")]
    for box, days in zip(boxes, (None, 1, 31), strict=True):
        box.add_recipient("pete@acme.example")
        if days:
            box.soft_delete()
            deleted_at = timezone.now() - timedelta(days=days)
            Mailbox.objects.filter(pk=box.pk).update(deleted_at=deleted_at)
    return boxes


def test_mailbox_past_the_retention_time_is_removed_with_its_history(mailboxes, capsys):
    call_command("purge_deleted")
    assert capsys.readouterr().out == "Removed 1 mailboxes.\n"
    kept = {mailboxes[0].pk, mailboxes[1].pk}
    for rows in (Mailbox.objects, Mailbox.history):
        assert set(rows.values_list("uuid", flat=True)) == kept
    for rows in (EmailRecipient.objects, EmailRecipient.history):
        assert set(rows.values_list("mailbox_id", flat=True)) == kept


def test_old_history_is_removed(account, settings, capsys):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    settings.HISTORY_CHANGES = 10
    rename_often(mailbox, 30)
    call_command("purge_deleted")
    assert capsys.readouterr().out == "Removed 20 old rows of history.\nRemoved 0 mailboxes.\n"
    assert mailbox.history.count() == 11


def test_long_history_of_a_removed_mailbox_is_removed_in_short_transactions(mailboxes):
    rename_often(mailboxes[2], 1200)
    with CaptureQueriesContext(connection) as captured:
        call_command("purge_deleted")
    assert not mailboxes[2].history.exists()
    table = Mailbox.history.model._meta.db_table
    removals = [row["sql"] for row in captured if row["sql"].startswith(f'DELETE FROM "{table}"')]
    assert len(removals) == 4  # three of the history, and the last one with the mailbox


def test_retention_time_is_a_setting(mailboxes, settings):
    settings.RETENTION_DAYS = 60
    call_command("purge_deleted")
    assert Mailbox.objects.count() == 3


def test_second_run_removes_nothing(mailboxes, capsys):
    call_command("purge_deleted")
    call_command("purge_deleted")
    assert capsys.readouterr().out.endswith("Removed 0 mailboxes.\n")


def test_unfinished_import_is_removed_after_a_day(db):
    rosa = User.objects.create_user("rosa")
    for hours in (23, 25):
        begun = timezone.now() - timedelta(hours=hours)
        source = Import.objects.create(user=rosa, file_name=f"{hours}.csv", created_at=begun)
        row = ImportRow(source=source, number=2)
        row.cells = {"password": "8305"}
        row.save()
    call_command("purge_deleted")
    assert Import.objects.get().file_name == "23.csv"
    assert ImportRow.objects.get().source.file_name == "23.csv"


def test_killed_process_is_removed_after_a_day(db):
    for hours in (23, 25):
        seen_at = Now() - timedelta(hours=hours)
        ServerProcess.objects.create(host=f"{hours}", pid=1, key="0a1b2c3d", seen_at=seen_at)
    call_command("purge_deleted")
    assert ServerProcess.objects.get(pid=1).host == "23"


def test_tasks_that_ended_weeks_ago_are_removed(db):
    for days in (13, 15):
        result = note.enqueue("", days)
        finished_at = timezone.now() - timedelta(days=days)
        DBTaskResult.objects.filter(pk=result.id).update(
            status="SUCCESSFUL", finished_at=finished_at
        )
    call_command("purge_deleted")
    assert DBTaskResult.objects.get().args_kwargs["args"] == ["", 13]


def test_events_of_webhooks_are_removed_after_30_days_unless_they_wait(account):
    endpoint = create_webhook(account)
    states = {"delivered": 29, "failed": 31, "pending": 31}
    for state, days in states.items():
        delivery = send(endpoint, "mailbox.updated", {})
        created_at = timezone.now() - timedelta(days=days)
        WebhookDelivery.objects.filter(pk=delivery.pk).update(state=state, created_at=created_at)
    call_command("purge_deleted")
    kept = WebhookDelivery.objects.values_list("state", flat=True)
    assert sorted(kept) == ["delivered", "pending"]
