"""Reads go to a streaming replica while it knows what the primary does; no caller sees anything older."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command

from mailboxes.models import Account
from tests.databases import default_database, headers_for
from tests.guarantees.conftest import FULL
from tests.guarantees.ledger import LIST
from tests.postgres import DurablePostgres, Standby
from tests.server import Server, until
from tests.service import OverSocket


class Replica(Standby):
    """A standby that reads go to, and that no commit waits for."""

    synchronous_names = ""

    def create_data(self):
        super().create_data()
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write("log_statement = 'all'\n")

    def execute(self, statement):
        with psycopg.connect(self.url(), autocommit=True) as connection:
            return connection.execute(statement).fetchone()[0]

    @contextmanager
    def held_up(self):
        """It plays nothing of the log for a while: it stays as it is."""
        self.execute("SELECT pg_wal_replay_pause()")
        until(lambda: self.execute("SELECT pg_get_wal_replay_pause_state()") == "paused")
        try:
            yield
        finally:
            self.execute("SELECT pg_wal_replay_resume()")

    def asked(self) -> int:
        """How often mailboxes were read from it."""
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
    """An account of the test's own, and the service as it calls it."""
    with default_database(primary.url()):
        account = Account.objects.create(name=uuid4().hex)
        headers = headers_for(account)
    service = OverSocket(headers, port=server.port)
    yield account, service
    service.close()


@pytest.fixture
def service(caller):
    return caller[1]


def names_read(service, uuid):
    """The mailbox's name as each command that reads shows it."""
    one = service.get(f"{LIST}/{uuid}").result
    lists = [service.get(LIST + query).result for query in ("", "?order=-updated")]
    (change, *_) = service.get(f"{LIST}/{uuid}/history").result
    of_lists = [row["name"] for rows in lists for row in rows if row["uuid"] == uuid]
    return [one["name"], *of_lists, change["after"]["name"]]


def ask_the_replica(replica, service, path=""):
    """Call until it is the replica that is read from."""
    before = replica.asked()
    until(lambda: service.get(LIST + path).status == 200 and replica.asked() > before)


def test_reads_go_to_the_replica(replica, service):
    uuid = service.post(LIST, {"name": "Sales"}).result["uuid"]
    for path in ("", "?search=Sales", f"/{uuid}", f"/{uuid}/history"):
        ask_the_replica(replica, service, path)


def test_whoever_wrote_sees_it_though_the_replica_is_behind(replica, service):
    uuid = service.post(LIST, {"name": "Sales"}).result["uuid"]
    ask_the_replica(replica, service)
    with replica.held_up():
        before = replica.asked()
        service.patch(f"{LIST}/{uuid}", {"name": "Lobby"})
        assert names_read(service, uuid) == ["Lobby"] * 4
        service.delete(f"{LIST}/{uuid}")
        assert service.get(f"{LIST}/{uuid}").status == 404
        assert service.get(LIST).result == []
        assert replica.asked() == before
    ask_the_replica(replica, service)


def test_whoever_is_refused_is_refused_though_the_replica_is_behind(primary, replica, caller):
    account, service = caller
    assert service.get(LIST).status == 200
    with replica.held_up():
        with default_database(primary.url()):
            account.suspend()
        assert service.get(LIST).status == 401
        with default_database(primary.url()):
            account.reactivate()
        assert service.get(LIST).status == 200
        with default_database(primary.url()):
            account.credentials.get().revoke()
        assert service.get(LIST).status == 401


def read_back(service, changes) -> list:
    """Change a mailbox so often and read it at once each time, one or all: what was not as it had been written."""
    uuid = service.post(LIST, {"name": "0"}).result["uuid"]
    wrong = []
    for number in range(1, changes + 1):
        service.patch(f"{LIST}/{uuid}", {"name": str(number)})
        read = names_read(service, uuid)
        wrong += [name for name in read if name != str(number)]
    return wrong


def test_every_write_is_read_back_while_the_replica_follows_as_it_can(
    replica, caller, size, promise
):
    changes, before = size(20, 250), replica.asked()
    services = [OverSocket(caller[1].headers, port=caller[1].port) for _ in range(4)]
    wrong = []
    with ThreadPoolExecutor(len(services)) as pool, ExitStack() as connections:
        running = []
        for service in services:
            connections.callback(service.close)
            running.append(pool.submit(read_back, service, changes))
        while not all(each.done() for each in running):
            with replica.held_up():
                time.sleep(0.05)
            time.sleep(0.2)
        for each in running:
            wrong += each.result()
    asked = replica.asked() - before
    assert asked
    told = f"{4 * changes:,} writes, each read 4 times; {asked:,} of the queries asked the replica"
    promise("Reads by a replica show what was written", told, len(wrong))


FAILURES = {
    "dies": (Replica.kill, Replica.start),
    "stands still": (Replica.suspend, Replica.resume),
}


@pytest.mark.parametrize("failure", list(FAILURES) if FULL else ["dies"])
def test_reads_go_on_when_the_replica(replica, service, failure):
    fail, recover = FAILURES[failure]
    service.post(LIST, {"name": "Sales"})
    ask_the_replica(replica, service)
    fail(replica)
    try:
        for _ in range(12):  # every thread's connection meets it
            assert [row["name"] for row in service.get(LIST).result] == ["Sales"]
        assert service.get("/readyz").status == 200
    finally:
        recover(replica)
    if FULL:  # in good time
        ask_the_replica(replica, service)
