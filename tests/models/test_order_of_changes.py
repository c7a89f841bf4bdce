"""The migration that gives the changes of before their order."""

from importlib import import_module
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import User

from mailboxes import batches
from mailboxes.models import Batch, EmailRecipient, Mailbox
from tests.histories import set_clock_back

migration = import_module("mailboxes.migrations.0014_fill_order_of_changes")


@pytest.fixture
def rosa(db):
    return User.objects.create_user("rosa")


def read_versions():
    return list(EmailRecipient.history.order_by("history_id").values_list("version", flat=True))


def forget_versions():
    EmailRecipient.history.update(version=0)


def write_batch(rosa, **rows):
    batches.write_batch(Batch.objects.create(user=rosa, action=Batch.Action.CHANGED), **rows)


def change_in_all_ways(account, rosa):
    """Change a mailbox by calls and by batches, with and without recipients."""
    mailbox = Mailbox(account=account, name="Sales")
    added = mailbox.recipients_to_add(["ann@acme.example", "bob@acme.example"])
    write_batch(rosa, created=[mailbox], added=added)
    mailbox.add_recipient("cleo@acme.example")
    mailbox.add_recipient("dan@acme.example")
    mailbox.turn_transcription(on=True)
    for changed in ([], [mailbox]):
        ann = mailbox.email_recipients.first()
        ann.mailbox = mailbox
        added = [EmailRecipient(mailbox=mailbox, email=f"{uuid4()}@acme.example")]
        write_batch(rosa, changed=changed, removed=[ann], added=added)
    mailbox.email_recipients.first().delete()


def test_recipients_get_the_versions_that_they_had(account, rosa):
    for _time in range(3):
        change_in_all_ways(account, rosa)
    versions = read_versions()
    assert 0 not in versions
    assert len(set(versions)) == 6
    forget_versions()
    migration.fill_versions(apps, None)
    assert read_versions() == versions


def test_filling_goes_on_after_an_interruption(account, rosa):
    change_in_all_ways(account, rosa)
    versions = read_versions()
    forget_versions()
    rows = EmailRecipient.history.order_by("history_id")[:3]
    for row, version in zip(rows, versions[:3], strict=True):
        EmailRecipient.history.filter(pk=row.pk).update(version=version)
    migration.fill_versions(apps, None)
    assert read_versions() == versions


def test_clock_that_was_set_back_does_not_change_the_order(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    mailbox.add_recipient("ann@acme.example")
    set_clock_back()
    mailbox.turn_transcription(on=True)
    mailbox.add_recipient("bob@acme.example")
    forget_versions()
    migration.fill_versions(apps, None)
    assert read_versions() == [2, 4]


def test_rows_that_the_service_has_not_made_get_the_first_version(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    for name in ("ann", "bob"):
        mailbox.add_recipient(f"{name}@acme.example")
    Mailbox.objects.update(version=2)
    forget_versions()
    migration.fill_versions(apps, None)
    assert read_versions() == [1, 2]


def test_many_mailboxes_are_filled(account, monkeypatch):
    monkeypatch.setattr(migration, "CHUNK", 2)
    for number in range(7):
        mailbox = Mailbox.objects.create(account=account, name=f"Box {number}")
        mailbox.add_recipient("ann@acme.example")
    forget_versions()
    migration.fill_versions(apps, None)
    assert read_versions() == [2] * 7


def test_batches_are_numbered_in_their_order(rosa):
    made = [Batch.objects.create(user=rosa, action=Batch.Action.CHANGED) for _time in range(3)]
    Batch.objects.update(number=0)
    migration.number_batches(apps, None)
    assert list(Batch.objects.order_by("number")) == made
