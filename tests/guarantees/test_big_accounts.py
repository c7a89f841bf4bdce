"""Many callers list a big account at once: the server's memory stays bounded, and each list is whole.

Rows come and go meanwhile: a list shows the account as it was at one moment.
"""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path

from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.conftest import headers_for
from tests.databases import default_database
from tests.server import Server, workers
from tests.service import OverSocket

LIST = "/voip/mailbox"
LISTS = [LIST, f"{LIST}?order=created"]  # compiled once, and as somebody asks
COMES_AND_GOES = "Comes and goes "


def fill(url, mailboxes) -> tuple[dict, list[str]]:
    """An account of so many mailboxes, each with a pass code and two recipients: its headers, and their uuids."""
    with default_database(url):
        account = Account.objects.create(name="big")
        rows = [Mailbox(account=account, name=f"Box {number}") for number in range(mailboxes)]
        for row in rows:
            row.password = "8305"
        Mailbox.objects.bulk_create(rows, batch_size=1000)
        recipients = [
            EmailRecipient(mailbox=row, email=f"{name}@big.example")
            for row in rows
            for name in ("ann", "bob")
        ]
        EmailRecipient.objects.bulk_create(recipients, batch_size=1000)
        return headers_for(account), [str(row.pk) for row in rows]


def most_memory(process) -> int:
    """The most that the process ever held, in MiB, what it shares with others included (proc(5), VmHWM)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024


class Coming(threading.Thread):
    """Makes a mailbox, and then deletes the one it made before: one of them, or two, are there at any moment."""

    def __init__(self, headers, port):
        super().__init__()
        self.done = threading.Event()
        self.service = OverSocket(headers, port)

    def run(self):
        before = None
        with closing(self.service):
            for number in count():
                made = self.service.post(LIST, {"name": f"{COMES_AND_GOES}{number}"}).result
                if before:
                    self.service.delete(f"{LIST}/{before['uuid']}")
                before = made
                if self.done.is_set():
                    return

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.done.set()
        self.join()


def is_whole(answer, uuids) -> bool:
    """Whether the list shows each mailbox that was there all the time once, and of those that come and go one moment."""
    stay = [row["uuid"] for row in answer.result if not row["name"].startswith(COMES_AND_GOES)]
    come = [
        int(row["name"].removeprefix(COMES_AND_GOES))
        for row in answer.result
        if row["name"].startswith(COMES_AND_GOES)
    ]
    is_moment = come == [*range(come[0], come[0] + len(come))] and len(come) <= 2 if come else True
    return stay == uuids and is_moment


def lists(headers, port, callers, uuids) -> int:
    """How many of so many callers' lists, asked for at once, are not whole."""

    def ask(caller):
        with closing(OverSocket(headers, port)) as service:
            service.connection.timeout = 300
            starting.wait()
            return is_whole(service.get(LISTS[caller % 2]), uuids)

    starting = threading.Barrier(callers)
    with ThreadPoolExecutor(callers) as pool:
        return [*pool.map(ask, range(callers))].count(False)


def test_many_lists_at_once(databases, size, promise):
    mailboxes, callers = size(2000, 10_000), size(16, 64)
    with Server(url := databases.empty()) as server:
        server.prepare()
        headers, uuids = fill(url, mailboxes)
        with Coming(headers, server.port):
            wrong = lists(headers, server.port, callers, uuids)
        memory = [most_memory(process) for process in workers(server)]
    tried = f"{databases.engine}: {callers} lists of {mailboxes:,} at once, others coming and going"
    promise("A big account's list is whole, and of one moment", tried, wrong)
    most = size(130, 300)
    tried += f"; at most {max(memory)} MiB in a process"
    promise(f"Big lists take less than {most} MiB", tried, sum(held >= most for held in memory))
