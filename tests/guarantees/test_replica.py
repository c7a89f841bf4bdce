"""Reads go to a streaming replica only if it is up to date, so no caller sees older data."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command

from mailboxes.api.lists import MAX_IN_MEMORY
from mailboxes.models import Account, Mailbox
from tests.databases import default_database, headers_for
from tests.guarantees.conftest import FULL
from tests.guarantees.writers import LIST
from tests.postgres import DurablePostgres, Standby
from tests.server import Server, until
from tests.service import OverSocket


class Replica(Standby):
    """An asynchronous standby, which logs its queries."""

    synchronous_names = ""

    def create_data(self):
        super().create_data()
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write("log_statement = 'all'\n")

    def execute(self, statement):
        with psycopg.connect(self.url(), autocommit=True) as connection:
            return connection.execute(statement).fetchone()[0]

    @contextmanager
    def paused(self):
        """Pause replication during the block."""
        self.execute("SELECT pg_wal_replay_pause()")
        until(lambda: self.execute("SELECT pg_get_wal_replay_pause_state()") == "paused")
        try:
            yield
        finally:
            self.execute("SELECT pg_wal_replay_resume()")

    def count_queries(self) -> int:
        """Return how often mailboxes were read from it."""
        return (self.folder / "log").read_text().count('FROM "mailboxes_mailbox"')


@pytest.fixture(scope="module")
def primary(postgres):
    with DurablePostgres(postgres.programs) as running:
        yield running


@pytest.fixture(scope="module")
def replica(primary):
    with Replica(primary) as running:
        yield running


@pytest.fixture(scope="module")
def server(primary, replica):
    with default_database(primary.url()):
        call_command("migrate", verbosity=0)
    with Server(primary.url(), DATABASE_REPLICA_URL=replica.url()) as running:
        yield running


@pytest.fixture
def caller(server, primary):
    """A new account, and the service called with its credential."""
    with default_database(primary.url()):
        account = Account.objects.create(name=uuid4().hex)
        headers = headers_for(account)
    service = OverSocket(headers, port=server.port)
    yield account, service
    service.close()


@pytest.fixture
def service(caller):
    return caller[1]


def read_names(service, uuid):
    """Return the mailbox's name as each of four commands shows it."""
    one = service.get(f"{LIST}/{uuid}").result
    lists = [service.get(LIST + query).result for query in ("", "?order=-updated")]
    (change, *_) = service.get(f"{LIST}/{uuid}/history").result
    listed = [row["name"] for rows in lists for row in rows if row["uuid"] == uuid]
    return [one["name"], *listed, change["after"]["name"]]


def wait_until_replica_is_read(replica, service, path=""):
    """Return the first answer that was read from the replica, which may be behind at first."""

    def read():
        before = replica.count_queries()
        answer = service.get(LIST + path)
        assert answer.status == 200
        return answer if replica.count_queries() > before else None

    return until(read)


def test_reads_go_to_the_replica(replica, service):
    uuid = service.post(LIST, {"name": "Sales"}).result["uuid"]
    for path in ("", "?search=Sales", f"/{uuid}", f"/{uuid}/history"):
        wait_until_replica_is_read(replica, service, path)


def test_long_list_is_read_from_the_replica(replica, primary, caller):
    account, service = caller
    with default_database(primary.url()):
        rows = [Mailbox(account=account, name=f"Box {n}") for n in range(MAX_IN_MEMORY + 1)]
        Mailbox.objects.bulk_create(rows)
    for path in ("", "?order=created"):
        answer = wait_until_replica_is_read(replica, service, path)
        assert [row["uuid"] for row in answer.result] == [str(row.pk) for row in rows]


def test_write_is_visible_at_once_if_the_replica_lags(replica, service):
    uuid = service.post(LIST, {"name": "Sales"}).result["uuid"]
    wait_until_replica_is_read(replica, service)
    with replica.paused():
        before = replica.count_queries()
        service.patch(f"{LIST}/{uuid}", {"name": "Lobby"})
        assert read_names(service, uuid) == ["Lobby"] * 4
        service.delete(f"{LIST}/{uuid}")
        assert service.get(f"{LIST}/{uuid}").status == 404
        assert service.get(LIST).result == []
        assert replica.count_queries() == before
    wait_until_replica_is_read(replica, service)


def test_change_is_listed_at_once_if_the_replica_lags(replica, service):
    uuid = service.post(LIST, {"name": "Sales"}).result["uuid"]
    wait_until_replica_is_read(replica, service)
    with replica.paused():
        first = service.get(f"{LIST}?changed_since=0")
        assert [mailbox["name"] for mailbox in first.result] == ["Sales"]
        service.patch(f"{LIST}/{uuid}", {"name": "Lobby"})
        cursor = first.headers["x-changes-cursor"]
        changed = service.get(f"{LIST}?changed_since={cursor}").result
        assert [mailbox["name"] for mailbox in changed] == ["Lobby"]


def test_suspension_and_revocation_take_effect_if_the_replica_lags(primary, replica, caller):
    account, service = caller
    assert service.get(LIST).status == 200
    with replica.paused():
        with default_database(primary.url()):
            account.suspend()
        assert service.get(LIST).status == 401
        with default_database(primary.url()):
            account.reactivate()
        assert service.get(LIST).status == 200
        with default_database(primary.url()):
            account.credentials.get().revoke()
        assert service.get(LIST).status == 401


def find_stale_names(service, changes) -> list:
    """Change a mailbox's name and read it at once, again and again. Return the wrong names."""
    uuid = service.post(LIST, {"name": "0"}).result["uuid"]
    wrong = []
    for number in range(1, changes + 1):
        service.patch(f"{LIST}/{uuid}", {"name": str(number)})
        wrong += [name for name in read_names(service, uuid) if name != str(number)]
    return wrong


def test_reads_are_current_while_the_replica_lags_now_and_then(replica, caller, size, promise):
    changes, before = size(20, 250), replica.count_queries()
    services = [OverSocket(caller[1].headers, port=caller[1].port) for _ in range(4)]
    wrong = []
    with ThreadPoolExecutor(len(services)) as pool, ExitStack() as connections:
        running = []
        for service in services:
            connections.callback(service.close)
            running.append(pool.submit(find_stale_names, service, changes))
        while not all(future.done() for future in running):
            with replica.paused():
                time.sleep(0.05)
            time.sleep(0.2)
        for future in running:
            wrong += future.result()
    queries = replica.count_queries() - before
    assert queries
    tried = f"{4 * changes:,} writes, each read 4 times; {queries:,} queries went to the replica"
    promise("Reads with a replica show the last write", tried, len(wrong))


FAILURES = {
    "dies": (Replica.kill, Replica.start),
    "stands still": (Replica.suspend, Replica.resume),
}


@pytest.mark.parametrize("failure", list(FAILURES) if FULL else ["dies"])
def test_reads_continue_when_the_replica_fails(replica, service, failure):
    fail, recover = FAILURES[failure]
    service.post(LIST, {"name": "Sales"})
    wait_until_replica_is_read(replica, service)
    fail(replica)
    try:
        for _ in range(12):  # so that every thread of the server uses its connection
            assert [row["name"] for row in service.get(LIST).result] == ["Sales"]
        assert service.get("/readyz").status == 200
    finally:
        recover(replica)
    if FULL:  # the service retries the replica only after a while
        wait_until_replica_is_read(replica, service)
