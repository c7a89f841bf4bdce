"""Backups made while callers write hold one moment, whole; a restore that is killed changes all or nothing."""

import random
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from copy import deepcopy
from subprocess import DEVNULL
from types import SimpleNamespace

from django.core.management import call_command

from mailboxes.history import list_changes
from mailboxes.models import Account, Mailbox
from tests.conftest import headers_for
from tests.databases import default_database, on_sqlite, rows
from tests.guarantees.ledger import Ledger, differences, writing
from tests.server import ROOT, Server, process_environment
from tests.service import InProcess

WRITERS = 4


class Diary(Ledger):
    """A ledger that can be opened at any page: `pages[n]` is what its mailboxes were after n calls."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.pages = [[]]

    def write(self):
        answered = super().write()
        if answered:
            self.pages.append(deepcopy(self.boxes))
        return answered

    def calls_in(self, mailboxes) -> int:
        """How many of its calls the mailboxes have seen, by their history."""
        mine = {box.uuid for box in self.boxes}
        return sum(len(list_changes(box)) for box in mailboxes if str(box.pk) in mine)


def caller(url) -> dict:
    """The headers of a new account without mailboxes."""
    with default_database(url):
        return headers_for(Account.objects.create(name="caller"))


def wrong_in_restored(service, diaries, answered) -> list:
    """The mailboxes that are as no moment of the diary has them, and callers whose answered calls are missing."""
    mailboxes = list(Mailbox.objects.all())
    calls = [diary.calls_in(mailboxes) for diary in diaries]
    pages = [
        SimpleNamespace(boxes=diary.pages[count])
        for diary, count in zip(diaries, calls, strict=True)
    ]
    lost = [
        diary.name
        for diary, count, before in zip(diaries, calls, answered, strict=True)
        if count < before
    ]
    return lost + differences(service, pages)


def test_backups_beside_writers(databases, tmp_path, size, promise):
    count = size(2, 50)
    backups, wrong = [], []
    url = databases.copy()
    headers = caller(url)
    with Server(url) as server, ExitStack() as connections:
        diaries = [Diary(f"w{number}", headers, server.port) for number in range(WRITERS)]
        for diary in diaries:
            connections.callback(diary.service.close)
        with writing(diaries), default_database(url):
            for number in range(count):
                time.sleep(random.uniform(0.1, 0.5))
                answered = [diary.acknowledged for diary in diaries]
                call_command("backup", f"{tmp_path}/{number}.backup")
                backups.append((f"{tmp_path}/{number}.backup", answered))
    elsewhere = databases.empty()
    with default_database(elsewhere):
        for backup, answered in backups:
            call_command("restore", backup, "--replace")
            wrong += wrong_in_restored(InProcess(headers), diaries, answered)
    written = sum(diary.acknowledged for diary in diaries)
    tried = f"{count} backups beside {written:,} writes, each restored and compared"
    promise(f"Backups beside writers, {databases.engine}", tried, len(wrong))


@on_sqlite
def test_a_page_too_early_would_be_seen(databases, tmp_path):
    """What the test above looks with finds a state that no moment had."""
    url = databases.copy()
    headers = caller(url)
    with Server(url) as server:
        diary = Diary("w", headers, server.port)
        for _ in range(20):
            diary.write()
        diary.service.close()
    with default_database(url):
        assert wrong_in_restored(InProcess(headers), [diary], [20]) == []
        assert wrong_in_restored(InProcess(headers), [diary], [21]) == ["w"]
        Mailbox.objects.update(name="Half done")
        assert wrong_in_restored(InProcess(headers), [diary], [20]) != []


def test_a_restore_is_killed(databases, tmp_path, size, promise):
    kills = size(2, 50)
    backup = f"{tmp_path}/mailboxes.backup"
    with default_database(databases.copy()):
        before = rows()
        call_command("flush", interactive=False, verbosity=0)
        call_command("load_demo", "--mailboxes", str(size(50, 3000)))
        after = rows()
        call_command("backup", backup)

    def restore(target, seconds=None):
        """Begin to restore over the target, and kill that after the seconds; what is there then."""
        command = [sys.executable, "manage.py", "restore", backup, "--replace"]
        environment = process_environment(target)
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=DEVNULL) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            process.kill()
        with default_database(target):
            there = rows()
        return "before" if there == before else "after" if there == after else "neither"

    start = time.monotonic()
    assert restore(databases.copy()) == "after"
    whole = time.monotonic() - start
    found = [restore(databases.copy(), random.uniform(whole / 4, whole)) for _ in range(kills)]
    tried = f"{kills} kills, {found.count('after')} of them too late to stop it"
    promise(f"A restore is killed, {databases.engine}", tried, found.count("neither"))
