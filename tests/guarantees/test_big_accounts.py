"""Long lists, requested at once by many callers: each is complete and shows one moment.

Meanwhile other mailboxes are created and deleted. The memory of a server process stays small, even
for the largest lists that the quota of mailboxes allows.
"""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.conftest import headers_for
from tests.databases import default_database
from tests.server import PreparedServer, workers
from tests.service import OverSocket

LIST = "/voip/mailbox"
LISTS = [LIST, f"{LIST}?order=created"]  # served by a prepared query, and by Django's views
TEMPORARY = "Temporary "
MEMORY = 300  # MiB above the start


def create_account(url, mailboxes, name="Box", recipients=2) -> tuple[dict, list[str]]:
    """Create an account with mailboxes. Return a call's headers and the mailboxes' UUIDs."""
    with default_database(url):
        account = Account.objects.create(name="big")
        rows = [Mailbox(account=account, name=f"{name} {number}") for number in range(mailboxes)]
        for row in rows:
            row.password = "8305"
        Mailbox.objects.bulk_create(rows, batch_size=1000)
        for number in range(recipients):
            EmailRecipient.objects.bulk_create(
                (EmailRecipient(mailbox=row, email=f"{number}@big.example") for row in rows),
                batch_size=1000,
            )
        return headers_for(account), [str(row.pk) for row in rows]


def read_peak_memory(server) -> dict[int, int]:
    """Return each worker's peak memory in MiB, shared pages included (proc(5), VmHWM)."""
    statuses = {process: Path(f"/proc/{process}/status").read_text() for process in workers(server)}
    return {
        process: int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024
        for process, status in statuses.items()
    }


class TemporaryMailboxes(threading.Thread):
    """Creates numbered mailboxes, and deletes each after the next: one or two exist."""

    def __init__(self, headers, port):
        super().__init__()
        self.stop = threading.Event()
        self.service = OverSocket(headers, port)

    def run(self):
        before = None
        with closing(self.service):
            for number in count():
                mailbox = self.service.post(LIST, {"name": f"{TEMPORARY}{number}"}).result
                if before:
                    self.service.delete(f"{LIST}/{before['uuid']}")
                before = mailbox
                if self.stop.is_set():
                    return

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        self.join()


def is_consistent(answer, uuids) -> bool:
    """Return True if the list has each permanent mailbox once, and shows one moment."""
    permanent = [row["uuid"] for row in answer.result if not row["name"].startswith(TEMPORARY)]
    temporary = [
        int(row["name"].removeprefix(TEMPORARY))
        for row in answer.result
        if row["name"].startswith(TEMPORARY)
    ]
    start = min(temporary, default=0)
    is_one_moment = temporary in ([], [start], [start, start + 1])
    return permanent == uuids and is_one_moment


def count_inconsistent_lists(headers, port, callers, uuids) -> int:
    """Request a list by each of so many callers at once, again if the service is busy."""

    def request_list(caller):
        with closing(OverSocket(headers, port)) as service:
            service.connection.timeout = 300
            barrier.wait()
            while (answer := service.get(LISTS[caller % 2])).status == 503:
                time.sleep(int(answer.headers["retry-after"]))
            return is_consistent(answer, uuids)

    barrier = threading.Barrier(callers)
    with ThreadPoolExecutor(callers) as pool:
        return [*pool.map(request_list, range(callers))].count(False)


@pytest.mark.long
def test_simultaneous_lists_are_complete_and_show_one_moment(databases, size, promise):
    mailboxes, callers = size(2000, 10_000), size(16, 64)
    with PreparedServer(url := databases.empty()) as server:
        headers, uuids = create_account(url, mailboxes)
        with TemporaryMailboxes(headers, server.port):
            wrong = count_inconsistent_lists(headers, server.port, callers, uuids)
    tried = (
        f"{databases.engine}: {callers} simultaneous lists of {mailboxes:,} mailboxes, "
        "while others were created and deleted"
    )
    promise("A large account's list is complete and shows one moment", tried, wrong)


@pytest.mark.long
def test_largest_lists_fit_in_memory(databases, size, promise, settings):
    """Read lists as long as the quota allows, of mailboxes with long names and recipients."""
    mailboxes, callers = settings.MAX_MAILBOXES_PER_ACCOUNT, size(16, 64)
    recipients = size(5, 20)
    with PreparedServer(url := databases.empty()) as server:
        headers, uuids = create_account(url, mailboxes, "Zoë 東京 📞" * 8, recipients)
        before = read_peak_memory(server)
        wrong = count_inconsistent_lists(headers, server.port, callers, uuids)
        growth = [peak - before[process] for process, peak in read_peak_memory(server).items()]
    tried = (
        f"{databases.engine}: {callers} simultaneous lists of {mailboxes:,} mailboxes with "
        f"{recipients} recipients each; at most {max(growth)} MiB in a process"
    )
    too_large = sum(mebibytes >= MEMORY for mebibytes in growth)
    promise(f"The largest lists take a process less than {MEMORY} MiB", tried, wrong + too_large)
