"""Acknowledged writes survive, with their history, if a process is killed or hangs."""

import os
import random
import re
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mailboxes.models import Account, EmailRecipient, Mailbox, Message
from tests import requirements
from tests.conftest import headers_for
from tests.databases import default_database, on_sqlite
from tests.guarantees.writers import (
    LIST,
    NO_LIMIT,
    Uploader,
    find_differences,
    open_writers,
    sum_counts,
    watch_growth,
    writing,
)
from tests.postgres import USER, DistantPostgres, DurablePostgres, Standby
from tests.server import PreparedServer, until
from tests.service import OverSocket

WRITERS = 6
UPLOADERS = 4


@pytest.fixture
def own_postgres(postgres):
    """A PostgreSQL for one test, which may kill it."""
    with DurablePostgres(postgres.programs) as running:
        yield running


@pytest.fixture
def distant_postgres(postgres):
    """A PostgreSQL in a network namespace of its own, which can disappear like a host."""
    if not requirements.can_make_namespaces():
        requirements.skip_or_fail("network", "A network namespace needs root, ip and nsenter.")
    with DistantPostgres(postgres.programs) as running:
        yield running


@contextmanager
def open_clients(server):
    """Yield a client that reads, and writers."""
    headers = server.headers
    with (
        closing(OverSocket(headers, port=server.port)) as service,
        open_writers(WRITERS, headers, server.port) as writers,
    ):
        yield service, writers


def settle_and_compare(service, writers) -> list:
    """Repeat each pending call until it is answered, and return the differences."""
    for writer in writers:
        writer.settle()
    service.close()
    return find_differences(service, writers)


def build_failover_url(primary, standby) -> str:
    """Return a URL that leads to the one of the two that accepts writes."""
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    return f"postgres://{USER}@{hosts}/postgres?target_session_attrs=read-write"


def wait_until_served(service, seconds=10) -> float:
    """Return the seconds until a call gets 200. Raise AssertionError if it takes too long."""
    start = time.monotonic()
    while service.get(LIST).status != 200:
        assert time.monotonic() - start < seconds
        time.sleep(0.05)
    return time.monotonic() - start


def describe(writers, times, event="kills") -> str:
    acknowledged, repeated = (sum_counts(writers, name) for name in ("acknowledged", "repeated"))
    return f"{times} {event}, {acknowledged:,} acknowledged writes, {repeated:,} of them repeated"


@pytest.mark.long
def test_writes_survive_a_killed_server(databases, size, promise):
    kills = size(1, 50)
    wrong = []
    with PreparedServer(databases.empty()) as server, open_clients(server) as (service, writers):
        for _ in range(kills):
            with writing(writers):
                time.sleep(random.uniform(0.1, 1.5))
                server.kill()
            server.start()
            wrong += settle_and_compare(service, writers)
    title = f"Writes survive when the server is killed, {databases.engine}"
    promise(title, describe(writers, kills), len(wrong))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "lose",
    [
        lambda: Mailbox.objects.filter(deleted_at=None).update(name="Old"),
        lambda: Mailbox.history.filter(history_type="+").delete(),
        lambda: EmailRecipient.objects.all().delete(),
        lambda: Mailbox.objects.create(account=Account.objects.get(), name="Unexpected"),
    ],
    ids=["a change", "a row of history", "recipients", "an unexpected mailbox"],
)
def test_checker_finds_a_lost_or_unexpected_write(server, account, lose):
    with open_writers(1, headers_for(account), server.port) as (writer,):
        for _ in range(40):
            writer.write()
        assert find_differences(writer.service, [writer]) == []
        lose()
        assert find_differences(writer.service, [writer]) != []


def test_writes_survive_a_killed_postgresql(own_postgres, size, promise):
    kills = size(1, 50)
    wrong = []
    with PreparedServer(own_postgres.url()) as server, open_clients(server) as (service, writers):
        for _ in range(kills):
            with writing(writers):
                time.sleep(random.uniform(0.1, 1.5))
                own_postgres.kill()
                time.sleep(0.2)
                own_postgres.start()
            wrong += settle_and_compare(service, writers)
    title = "Writes survive when PostgreSQL is killed"
    promise(title, describe(writers, kills), len(wrong))


def find_wrong_recordings(server, url, writers) -> tuple[list, int]:
    """Return wrong messages and files after `purge_deleted`, and how many files it removed."""
    folder = Path(server.environment["RECORDINGS_DIR"])
    for path in folder.rglob("*"):
        os.utime(path, (0, 0))  # as if no upload were in progress
    removed = re.search(r"Removed (\d+) recordings", server.manage("purge_deleted"))
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    with default_database(url):
        names = set(Message.objects.values_list("recording", flat=True))
    wrong = [path for writer in writers for path in writer.find_wrong()]
    return wrong + sorted(files ^ names), int(removed[1]) if removed else 0


@contextmanager
def open_uploaders(url, folder):
    """Yield a server with a store of its own, and writers that add messages."""
    with (
        PreparedServer(url, RECORDINGS_DIR=str(folder), MESSAGES_PER_MAILBOX=NO_LIMIT) as server,
        open_writers(UPLOADERS, server.headers, server.port, Uploader) as writers,
    ):
        yield server, writers


@pytest.mark.long
def test_messages_survive_a_killed_server(databases, tmp_path, size, promise):
    kills, url = size(2, 50), databases.empty()
    with open_uploaders(url, tmp_path) as (server, writers):
        for _ in range(kills):
            with writing(writers):
                time.sleep(random.uniform(0.5, 1.5))
                server.kill()
            server.start()
            for writer in writers:
                writer.settle()
        wrong, removed = find_wrong_recordings(server, url, writers)
    tried = f"{describe(writers, kills)}; {removed} recordings without a message were removed"
    promise(f"Messages survive when the server is killed, {databases.engine}", tried, len(wrong))


@pytest.mark.long
def test_messages_survive_a_killed_postgresql(own_postgres, tmp_path, size, promise):
    kills, url = size(1, 50), own_postgres.url()
    with open_uploaders(url, tmp_path) as (server, writers):
        for _ in range(kills):
            with writing(writers):
                time.sleep(random.uniform(0.5, 1.5))
                own_postgres.kill()
                time.sleep(0.2)
                own_postgres.start()
            for writer in writers:
                writer.settle()
        wrong, removed = find_wrong_recordings(server, url, writers)
    tried = f"{describe(writers, kills)}; {removed} recordings without a message were removed"
    promise("Messages survive when PostgreSQL is killed", tried, len(wrong))


def lose_row():
    Message.objects.first().delete()


def lose_recording():
    Message.objects.update(recording="0a/1b/lost")


@pytest.mark.long
@on_sqlite
@pytest.mark.parametrize("lose", [lose_row, lose_recording])
def test_checker_finds_a_lost_message(databases, tmp_path, lose):
    url = databases.empty()
    with open_uploaders(url, tmp_path) as (server, writers):
        for writer in writers:
            for _ in range(3):
                writer.write()
        assert find_wrong_recordings(server, url, writers) == ([], 0)
        with default_database(url):
            lose()
        assert find_wrong_recordings(server, url, writers)[0] != []


def test_writes_survive_a_promoted_standby(postgres, size, promise):
    """DATABASE_URL names both, so the service continues with the standby without a restart."""
    rounds = size(1, 10)
    wrong, waits, all_writers = [], [], []
    for _ in range(rounds):
        with (
            DurablePostgres(postgres.programs) as primary,
            Standby(primary) as standby,
            PreparedServer(build_failover_url(primary, standby)) as server,
            open_clients(server) as (service, writers),
        ):
            with writing(writers):
                time.sleep(random.uniform(0.5, 1.5))
                primary.kill()
                time.sleep(1)
                answer = service.get(LIST)
                assert answer.status == 503
                assert answer.headers["retry-after"]
                standby.promote()
                waits.append(wait_until_served(service))
                time.sleep(0.5)
            wrong += settle_and_compare(service, writers)
            all_writers += writers
    tried = f"{describe(all_writers, rounds)}; 200 again {max(waits):.1f} s after the promotion"
    promise("Writes survive when the standby is promoted", tried, len(wrong))


def interrupt_writes(server, stop, resume, times) -> tuple[str, int]:
    """Stop the database during writes. Return what was tried, and the number of differences.

    A caller that gets no answer within 20 s raises TimeoutError.
    """
    wrong = []
    with open_clients(server) as (service, writers):
        for _ in range(times):
            with writing(writers):
                # Every thread of the server must have an open connection to the database.
                until(watch_growth(writers, "acknowledged", by=10))
                stop()
                try:
                    until(watch_growth(writers, "refused"))
                    answer = service.get(LIST)
                    assert answer.status == 503
                    assert answer.headers["retry-after"]
                    assert service.get("/healthz").status == 200
                    until(lambda: service.get("/readyz").status == 503)
                finally:
                    resume()
            wrong += settle_and_compare(service, writers)
    longest = max(writer.longest for writer in writers)
    tried = f"{describe(writers, times, 'outages')}; 503 after {longest:.1f} s at most"
    return tried, len(wrong)


def test_writes_survive_a_lost_host(distant_postgres, size, promise):
    """After a power cut a host sends no packet at all, not even one that refuses a connection."""
    with PreparedServer(distant_postgres.url()) as server:
        disconnect, reconnect = distant_postgres.disconnect, distant_postgres.reconnect
        tried, lost = interrupt_writes(server, disconnect, reconnect, size(1, 10))
    promise("Writes survive when the host of PostgreSQL disappears", tried, lost)


def test_writes_survive_a_hanging_postgresql(own_postgres, size, promise):
    """If a disk hangs, the host accepts packets but never answers."""
    with PreparedServer(own_postgres.url(), DATABASE_TIMEOUT="3") as server:
        stop, resume = own_postgres.suspend, own_postgres.resume
        tried, lost = interrupt_writes(server, stop, resume, size(1, 10))
    promise("Writes survive when PostgreSQL hangs", tried, lost)
