"""The `purge_deleted` command, for messages and their recordings."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mailboxes import purging
from mailboxes.audio.recordings import Recording
from mailboxes.models import Account, Mailbox, Message
from mailboxes.storage import recordings_store
from tests.recordings import make_samples

DAY = 24 * 3600


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales")


@pytest.fixture(autouse=True)
def store(recordings_folder):
    return recordings_folder


@pytest.fixture
def purge(capsys, django_capture_on_commit_callbacks):
    """Return a function that runs `purge_deleted`, and returns the lines it printed."""

    def run():
        with django_capture_on_commit_callbacks(execute=True):
            call_command("purge_deleted")
        return capsys.readouterr().out.splitlines()

    return run


def add_message(mailbox, age=0, heard=False, deleted=None) -> Message:
    """Add a message that was received, and perhaps deleted, so many days ago."""
    recording = Recording(8_000, make_samples(1).tobytes())
    message, _ = Message.receive(mailbox, recording)
    now = timezone.now()
    message.received_at = now - timedelta(days=age)
    message.heard_at = now if heard else None
    message.deleted_at = None if deleted is None else now - timedelta(days=deleted)
    message.save()
    return message


def list_files(store) -> set[str]:
    return {str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()}


def find_names() -> set[str]:
    return set(Message.objects.values_list("recording", flat=True))


def age(path: Path, days: float) -> None:
    moment = time.time() - days * DAY
    os.utime(path, (moment, moment))


def write_file(store, name, days=2.0) -> Path:
    path = store / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    age(path, days)
    return path


ORPHAN = "0a/1b/0a1b" + "2" * 28


def test_deleted_message_is_removed_with_its_recording(mailbox, store, purge):
    kept = [add_message(mailbox), add_message(mailbox, deleted=29)]
    add_message(mailbox, deleted=31)
    assert purge() == ["Removed 1 deleted messages.", "Removed 0 mailboxes."]
    assert set(Message.objects.all()) == set(kept)
    assert list_files(store) == find_names()


def test_messages_of_a_removed_mailbox_are_removed_with_their_recordings(
    account, mailbox, store, purge
):
    add_message(mailbox)
    add_message(mailbox, deleted=1)
    other = Mailbox.objects.create(account=account, name="Support")
    kept = add_message(other)
    other.soft_delete()
    mailbox.soft_delete()
    Mailbox.objects.filter(pk=mailbox.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    assert purge() == ["Removed 2 messages of removed mailboxes.", "Removed 1 mailboxes."]
    assert Message.objects.get() == kept
    assert list_files(store) == find_names()


@pytest.mark.parametrize(
    ("service_days", "account_days", "removes_unheard", "kept"),
    [
        (0, None, False, ["unheard", "heard", "recent", "deleted"]),
        (90, None, False, ["unheard", "recent", "deleted"]),
        (90, None, True, ["recent", "deleted"]),
        (90, 0, True, ["unheard", "heard", "recent", "deleted"]),
        (0, 90, False, ["unheard", "recent", "deleted"]),
        (36_500, 90, True, ["recent", "deleted"]),
        (90, 36_500, True, ["unheard", "heard", "recent", "deleted"]),
    ],
)
def test_messages_are_kept_as_long_as_service_and_account_say(
    account, mailbox, settings, store, purge, service_days, account_days, removes_unheard, kept
):
    settings.MESSAGE_RETENTION_DAYS = service_days
    account.message_days, account.removes_unheard = account_days, removes_unheard
    account.save()
    messages = {
        add_message(mailbox, age=91): "unheard",
        add_message(mailbox, age=91, heard=True): "heard",
        add_message(mailbox, age=89, heard=True): "recent",
        add_message(mailbox, age=91, heard=True, deleted=1): "deleted",
    }
    lines = purge()
    assert {messages[message] for message in Message.objects.all()} == set(kept)
    removed = 4 - len(kept)
    line = f"Removed {removed} messages that were older than their accounts keep them."
    assert (line in lines) == bool(removed)
    assert list_files(store) == find_names()


def test_days_of_one_account_do_not_apply_to_another(account, mailbox, purge):
    other = Account.objects.create(name="beta", message_days=1)
    for box in (mailbox, Mailbox.objects.create(account=other, name="Desk")):
        add_message(box, age=2, heard=True)
    purge()
    assert Message.objects.get().mailbox == mailbox


def test_file_without_a_message_is_removed_after_a_day(mailbox, store, purge):
    age(store / str(add_message(mailbox).recording.name), days=400)
    for name in (ORPHAN, f"{ORPHAN}.new", "0a/1b/0a1b" + "3" * 28):
        write_file(store, name)
    recent = write_file(store, "0a/1b/0a1b" + "4" * 28, days=0.9)
    lines = ["Removed 0 mailboxes.", "Removed 3 recordings without a message or greeting."]
    assert purge() == lines
    assert list_files(store) == find_names() | {str(recent.relative_to(store))}


def test_other_files_in_the_folder_stay(db, store, purge):
    """RECORDINGS_DIR may name a folder that has other files too, such as the database."""
    names = ["mailboxes.sqlite3", "0a/1b/notes.txt", "0a/1b/ffff" + "2" * 28, "0a/1b2/" + "2" * 32]
    for name in names:
        write_file(store, name)
    assert purge() == ["Removed 0 mailboxes."]
    assert list_files(store) == set(names)


def test_recording_left_by_a_crash_is_removed_by_the_next_run(mailbox, store, purge):
    message = add_message(mailbox, deleted=31)
    age(store / str(message.recording.name), days=40)
    Message.objects.all().delete()  # as if killed before the commit's callbacks
    assert list_files(store) == {message.recording.name}
    assert purge()[-1] == "Removed 1 recordings without a message or greeting."
    assert list_files(store) == set()


def test_store_that_fails_stops_nothing_else(mailbox, store, purge, monkeypatch):
    def fail(self, name):
        raise OSError(5, "Input/output error")

    add_message(mailbox, deleted=31)
    write_file(store, ORPHAN)
    mailbox.soft_delete()
    Mailbox.objects.update(deleted_at=timezone.now() - timedelta(days=31))
    monkeypatch.setattr(type(recordings_store()), "delete", fail)
    with pytest.raises(CommandError, match=r"cannot be removed: .*Input/output error"):
        purge()
    assert not Mailbox.objects.exists()
    assert not Message.objects.exists()


def test_message_restored_meanwhile_stays(mailbox):
    """The condition is checked again for the locked row."""
    message = add_message(mailbox, deleted=31)
    past = Message.objects.past_retention()
    Message.objects.filter(pk=message.pk).update(deleted_at=None)
    assert purging.remove_batch(past.filter(pk=message.pk)) == 0
    assert Message.objects.exists()


def test_messages_are_removed_in_short_transactions(mailbox, monkeypatch, purge):
    monkeypatch.setattr(purging, "BATCH", 2)
    for _ in range(5):
        add_message(mailbox, deleted=31)
    with CaptureQueriesContext(connection) as captured:
        assert purge()[0] == "Removed 5 deleted messages."
    table = Message._meta.db_table
    removals = [row["sql"] for row in captured if row["sql"].startswith(f'DELETE FROM "{table}"')]
    assert len(removals) == 3
