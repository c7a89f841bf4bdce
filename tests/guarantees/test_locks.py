"""Another program locks the database. Writers wait for it, and no reader does."""

import json
import select
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlencode

import psycopg
import pytest
from django.contrib.auth.models import User

from config.concurrency import MAX_WAITING, WRITES_OF_CALLER
from mailboxes.models import Account, Batch, Mailbox, Message
from tests.config.caller import Caller
from tests.databases import default_database, on_sqlite
from tests.engines.engine import FORM, engine_headers
from tests.guarantees.slow_callers import build_request
from tests.guarantees.staff_pages import CONSOLE, Visit
from tests.recordings import make_recording
from tests.security.browser import Browser, create_superuser
from tests.server import PreparedServer, until
from tests.service import OverSocket

LIST = "/voip/mailbox"
WRITERS = 10
READS = [LIST, f"{LIST}?limit=1", f"{LIST}/{{}}", f"{LIST}/{{}}/history", "/authenticated"]
READS += ["/readyz", "/healthz", "/sign-in/"]


@contextmanager
def lock_writes(url):
    """Lock the whole database on SQLite, and every account and mailbox on PostgreSQL."""
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
    else:
        with psycopg.connect(url) as connection:
            for table in ("mailboxes_account", "mailboxes_mailbox"):
                connection.execute(f"SELECT 1 FROM {table} FOR UPDATE")
            yield
            connection.rollback()


class LockableService(PreparedServer):
    """One process on a database with a mailbox, and callers of it."""

    def __init__(self, databases, **environment):
        self.url = databases.empty()
        super().__init__(self.url, WEB_CONCURRENCY="1", **environment)

    def __enter__(self):
        super().__enter__()
        with default_database(self.url):
            account = Account.objects.get()
            self.mailbox = Mailbox.objects.create(account=account, name="Sales")
            self.mailbox.add_recipient("ann@acme.example")
            self.engine_headers = engine_headers(account)
            create_superuser("rosa")
        return self

    def call(self, method, path, body=None, headers=None):
        with closing(OverSocket(headers or self.headers, self.port)) as service:
            return service.call(method, path.format(self.mailbox.pk), body)

    def look_up(self):
        """Look up the mailbox like Asterisk, which reads by POST."""
        form = urlencode({"mailbox": self.mailbox.pk, "context": "acme"})
        return self.call("POST", "/asterisk/voicemail/single", form, self.engine_headers | FORM)

    def write(self, number):
        method, path, body = [
            ("POST", LIST, {"name": "New"}),
            ("PATCH", f"{LIST}/{{}}", {"name": "Changed"}),
            ("PUT", f"{LIST}/{{}}", {"name": "Changed"}),
            ("POST", f"{LIST}/{{}}/email-recipient", {"email": f"bob{number}@acme.example"}),
            ("POST", f"{LIST}?", {"name": "New"}),  # answered by Django's views
        ][number % 5]
        return self.call(method, path, body)


@pytest.mark.long
def test_reads_are_answered_while_writers_wait(databases, promise):
    with LockableService(databases) as service, ThreadPoolExecutor(WRITERS) as pool:
        with lock_writes(service.url):
            writers = [pool.submit(service.write, number) for number in range(WRITERS)]
            reads = [service.call("GET", path) for path in READS * 3]
            reads += [service.look_up() for _ in range(3)]
            early = sum(writer.done() for writer in writers)
        refused = sum(writer.result().status not in (200, 201) for writer in writers)
    assert early == refused == 0
    promise(
        "Callers who wait for a lock keep no thread from readers",
        f"{databases.engine}: {len(reads)} reads while {WRITERS} writers waited",
        sum(read.status != 200 for read in reads),
    )


@pytest.mark.long
@on_sqlite
def test_writers_beyond_the_queue_get_503_at_once(databases):
    """The others are answered when the lock is released."""
    beyond = 5
    with LockableService(databases) as service, ExitStack() as stack:
        body = b'{"name": "New"}'
        headers = service.headers | {
            "Content-Type": "application/json",
            "Content-Length": len(body),
        }
        request = build_request(f"POST {LIST}", headers) + body
        with lock_writes(service.url):
            count = WRITES_OF_CALLER + MAX_WAITING + beyond
            callers = [stack.enter_context(Caller(service.port)) for _ in range(count)]
            for caller in callers:
                caller.send(request)
            until(lambda: len(find_answered(callers)) == beyond)
            refused = find_answered(callers)
            for caller in refused:
                status, sent, answer = caller.answer()
                assert (status, sent["retry-after"]) == (503, "5")
                (error,) = json.loads(answer)["errors"]["non_field_errors"]
                assert error == {
                    "code": "unavailable",
                    "message": "Too many of your requests wait: try again later.",
                }
        assert {caller.status() for caller in callers if caller not in refused} == {201}
        assert "why=busy" in service.output()


def find_answered(callers) -> list[Caller]:
    sockets = select.select([caller.socket for caller in callers], [], [], 0)[0]
    return [caller for caller in callers if caller.socket in sockets]


@pytest.mark.long
@on_sqlite
def test_writers_that_wait_too_long_get_503(databases):
    with LockableService(databases, DATABASE_TIMEOUT="1") as service:
        with ThreadPoolExecutor(WRITERS) as pool, lock_writes(service.url):
            writers = [pool.submit(service.write, 0) for _ in range(WRITERS)]
            until(lambda: sum(w.done() for w in writers) == WRITERS - WRITES_OF_CALLER)
            answers = [writer.result() for writer in writers if writer.done()]
        messages = {answer.errors["non_field_errors"][0]["message"] for answer in answers}
        assert {answer.status for answer in answers} == {503}
        assert messages == {"The service is busy: try again later."}
        assert sorted(writer.result().status for writer in writers)[:3] == [201, 201, 503]
        assert len(service.call("GET", LIST).result) == 1 + WRITES_OF_CALLER


@pytest.mark.long
@on_sqlite
def test_no_page_waits_for_a_lock(databases):
    with LockableService(databases) as service, Browser(service.port) as browser:
        assert browser.sign_in().status == 302
        with default_database(service.url):
            User.objects.create(username="clerk", is_staff=True)
            Batch.objects.create(action=Batch.Action.CHANGED)
            Message.receive(service.mailbox, make_recording())
            visit = Visit(service.mailbox, service.mailbox.account)
            addresses = [page.build_address(visit) for page in CONSOLE if is_plain(page)]
        with lock_writes(service.url):
            statuses = {browser.get(address).status for address in addresses}
        assert statuses == {200, 302}


def is_plain(page) -> bool:
    """Return True for a page that is read only: who hears a recording is written down first."""
    written = ("import-preview", "import-errors", "message-recording")
    return page.method == "GET" and page.page not in written
