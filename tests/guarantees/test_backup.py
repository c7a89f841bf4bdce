"""A backup during writes shows one moment; a killed restore changes all or nothing."""

import random
import subprocess
import sys
import time
from contextlib import suppress
from copy import deepcopy
from subprocess import DEVNULL
from types import SimpleNamespace

import pytest
from django.core.management import call_command

from mailboxes.audio.recordings import Recording
from mailboxes.models import Account, EmailRecipient, Mailbox, Message
from tests.conftest import empty_folder, headers_for
from tests.databases import default_database, on_sqlite, rows
from tests.guarantees.writers import (
    Uploader,
    Writer,
    find_differences,
    open_writers,
    sum_counts,
    writing,
)
from tests.server import ROOT, Server, process_environment
from tests.service import InProcess

WRITERS = 4
UPLOADER = "uploader"  # the name of its account


class SnapshotWriter(Writer):
    """A writer that keeps every state: `snapshots[n]` are its mailboxes after n calls."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.snapshots = [[]]

    def write(self):
        is_answered = super().write()
        if is_answered:
            self.snapshots.append(deepcopy(self.mailboxes))
        return is_answered

    def count_calls(self, mailboxes) -> int:
        """Return the number of this writer's calls that are in the mailboxes' histories."""
        own = {mailbox.uuid for mailbox in self.mailboxes}
        uuids = [mailbox.pk for mailbox in mailboxes if str(mailbox.pk) in own]
        changes = Mailbox.history.filter(uuid__in=uuids).count()
        return changes + EmailRecipient.history.filter(mailbox_id__in=uuids).count()


def create_caller(url, name="caller") -> dict:
    """Return the headers of a new account without mailboxes."""
    with default_database(url):
        return headers_for(Account.objects.create(name=name))


def find_restore_errors(service, writers, acknowledged) -> list:
    """Return the mailboxes that differ from a snapshot, and the writers that lost calls.

    `acknowledged` has the number of each writer's acknowledged calls when the backup began.
    """
    mailboxes = list(Mailbox.objects.all())
    calls = [writer.count_calls(mailboxes) for writer in writers]
    snapshots = [
        SimpleNamespace(mailboxes=writer.snapshots[count])
        for writer, count in zip(writers, calls, strict=True)
    ]
    lost = [
        writer.name
        for writer, count, minimum in zip(writers, calls, acknowledged, strict=True)
        if count < minimum
    ]
    return lost + find_differences(service, snapshots)


def find_wrong_messages(uploader, acknowledged) -> list:
    """Return the messages that sound different, and the uploader if it lost some."""
    expected = {path[-36:]: wav for path, wav in uploader.recordings.items()}
    messages = Message.objects.filter(mailbox__account__name=UPLOADER)
    wrong = [row.pk for row in messages if row.read_recording() != expected[str(row.pk)]]
    return wrong + [UPLOADER] * (len(messages) < acknowledged)


@pytest.mark.long
def test_backup_during_writes_is_consistent(databases, recordings_folder, tmp_path, size, promise):
    count = size(2, 50)
    backups, wrong = [], []
    url = databases.copy()
    headers = create_caller(url)
    with (
        Server(url) as server,
        open_writers(WRITERS, headers, server.port, kind=SnapshotWriter) as writers,
        open_writers(1, create_caller(url, UPLOADER), server.port, Uploader) as (uploader,),
        writing([*writers, uploader]),
        default_database(url),
    ):
        for number in range(count):
            time.sleep(random.uniform(0.1, 0.5))
            acknowledged = [writer.acknowledged for writer in writers], len(uploader.recordings)
            call_command("backup", f"{tmp_path}/{number}.backup")
            backups.append((f"{tmp_path}/{number}.backup", *acknowledged))
    with default_database(databases.empty()):
        for backup, acknowledged, uploaded in backups:
            empty_folder(recordings_folder)
            call_command("restore", backup, "--replace")
            wrong += find_restore_errors(InProcess(headers), writers, acknowledged)
            wrong += find_wrong_messages(uploader, uploaded)
    written, uploaded = sum_counts(writers, "acknowledged"), len(uploader.recordings)
    tried = f"{count} backups during {written:,} writes and {uploaded:,} uploads, each compared"
    promise(f"A backup during writes is consistent, {databases.engine}", tried, len(wrong))


@pytest.mark.long
@on_sqlite
def test_checker_finds_a_wrong_state_of_a_backup(databases, tmp_path):
    url = databases.copy()
    headers = create_caller(url)
    with Server(url) as server, open_writers(1, headers, server.port, SnapshotWriter) as writers:
        for _ in range(20):
            writers[0].write()
    with default_database(url):
        assert find_restore_errors(InProcess(headers), writers, [20]) == []
        assert find_restore_errors(InProcess(headers), writers, [21]) == ["w0"]
        Mailbox.objects.update(name="Half done")
        assert find_restore_errors(InProcess(headers), writers, [20]) != []


@pytest.mark.long
def test_killed_restore_leaves_old_or_new_data(
    databases, recordings_folder, tmp_path, size, promise
):
    kills = size(2, 50)
    backup = f"{tmp_path}/mailboxes.backup"
    with default_database(databases.copy()):
        before = rows()
        call_command("flush", interactive=False, verbosity=0)
        call_command("load_demo", "--mailboxes", str(size(50, 3000)))
        for mailbox in Mailbox.objects.active()[: size(5, 50)]:
            Message.receive(mailbox, Recording(8_000, random.randbytes(16_000)))
        after = rows()
        call_command("backup", backup)

    def restore(target, seconds=None):
        """Start a restore, kill it after the seconds, and return the state of the data."""
        empty_folder(recordings_folder)
        command = [sys.executable, "manage.py", "restore", backup, "--replace"]
        environment = process_environment(target)
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=DEVNULL) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            process.kill()
        with default_database(target):
            found = rows()
            for message in Message.objects.all():
                message.read_recording()
        return "before" if found == before else "after" if found == after else "mixture"

    start = time.monotonic()
    assert restore(databases.copy()) == "after"
    duration = time.monotonic() - start
    states = [
        restore(databases.copy(), random.uniform(duration / 4, duration)) for _ in range(kills)
    ]
    tried = f"{kills} kills, {states.count('after')} of them after the data was replaced"
    title = f"A killed restore leaves old or new data, {databases.engine}"
    promise(title, tried, states.count("mixture"))
