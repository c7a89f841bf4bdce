"""Processes are killed, or fall silent, while callers write: what was answered by 2xx is there, whole, and with its history."""

import random
import time
from contextlib import ExitStack, contextmanager

import pytest

from mailboxes.models import Account, EmailRecipient, Mailbox
from tests import requirements
from tests.conftest import headers_for
from tests.guarantees.ledger import LIST, Ledger, differences, risen, writing
from tests.postgres import USER, DistantPostgres, DurablePostgres, Standby
from tests.server import Server, until
from tests.service import OverSocket

WRITERS = 6


@pytest.fixture
def own_postgres(postgres):
    """A PostgreSQL that may be killed: nobody else's."""
    with DurablePostgres(postgres.programs) as running:
        yield running


@pytest.fixture
def distant_postgres(postgres):
    """A PostgreSQL whose host may vanish."""
    if not requirements.can_make_namespaces():
        requirements.skip_or_fail(
            "network", "A host of its own can be made by root alone, with ip and nsenter."
        )
    with DistantPostgres(postgres.programs) as running:
        yield running


@contextmanager
def callers(server):
    """A service to look with, and writers with their ledgers."""
    headers = server.prepare()
    service = OverSocket(headers, port=server.port)
    ledgers = [Ledger(f"w{number}", headers, server.port) for number in range(WRITERS)]
    with ExitStack() as connections:
        for each in (service, *(ledger.service for ledger in ledgers)):
            connections.callback(each.close)
        yield service, ledgers


def settled(service, ledgers) -> list:
    """What is wrong once every call that stood open was answered."""
    for ledger in ledgers:
        ledger.settle()
    service.close()
    return differences(service, ledgers)


def either(primary, standby) -> str:
    """The URL of whichever of the two is written to."""
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    return f"postgres://{USER}@{hosts}/postgres?target_session_attrs=read-write"


def seconds_until_served(service, patience=10) -> float:
    """How long until a call is answered as ever. Raises AssertionError after the seconds promised."""
    start = time.monotonic()
    while service.get(LIST).status != 200:
        assert time.monotonic() - start < patience
        time.sleep(0.05)
    return time.monotonic() - start


def told(ledgers, times, what="kills") -> str:
    acknowledged = sum(ledger.acknowledged for ledger in ledgers)
    repeated = sum(ledger.repeated for ledger in ledgers)
    return f"{times} {what}, {acknowledged:,} acknowledged writes, {repeated:,} of them repeated"


def test_the_server_is_killed(databases, size, promise):
    kills = size(1, 50)
    wrong = []
    with Server(databases.empty()) as server, callers(server) as (service, ledgers):
        for _ in range(kills):
            with writing(ledgers):
                time.sleep(random.uniform(0.1, 1.5))
                server.kill()
            server.start()
            wrong += settled(service, ledgers)
    promise(f"The server is killed, {databases.engine}", told(ledgers, kills), len(wrong))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "lose",
    [
        lambda: Mailbox.objects.filter(deleted_at=None).update(name="Old"),
        lambda: Mailbox.history.filter(history_type="+").delete(),
        lambda: EmailRecipient.objects.all().delete(),
        lambda: Mailbox.objects.create(account=Account.objects.get(), name="By nobody"),
    ],
    ids=["a change", "a row of history", "recipients", "made though not answered"],
)
def test_a_loss_would_be_seen(server, account, lose):
    ledger = Ledger("w", headers_for(account), server.port)
    for _ in range(40):
        ledger.write()
    assert differences(ledger.service, [ledger]) == []
    lose()
    assert differences(ledger.service, [ledger]) != []
    ledger.service.close()


def test_postgresql_is_killed(own_postgres, size, promise):
    kills = size(1, 50)
    wrong = []
    with Server(own_postgres.url()) as server, callers(server) as (service, ledgers):
        for _ in range(kills):
            with writing(ledgers):
                time.sleep(random.uniform(0.1, 1.5))
                own_postgres.kill()
                time.sleep(0.2)
                own_postgres.start()
            wrong += settled(service, ledgers)
    promise("PostgreSQL is killed", told(ledgers, kills), len(wrong))


def test_the_primary_is_killed_and_the_standby_promoted(postgres, size, promise):
    """One DATABASE_URL names both; the service goes on with the other, without a restart."""
    rounds = size(1, 10)
    wrong, waits, written = [], [], []
    for _ in range(rounds):
        with (
            DurablePostgres(postgres.programs) as primary,
            Standby(primary) as standby,
            Server(either(primary, standby)) as server,
            callers(server) as (service, ledgers),
        ):
            with writing(ledgers):
                time.sleep(random.uniform(0.5, 1.5))
                primary.kill()
                time.sleep(1)
                answer = service.get(LIST)
                assert answer.status == 503
                assert answer.headers["retry-after"]
                standby.promote()
                waits.append(seconds_until_served(service))
                time.sleep(0.5)
            wrong += settled(service, ledgers)
            written += ledgers
    back = f"{told(written, rounds)}; back {max(waits):.1f} s after the promotion"
    promise("The primary is killed, its standby promoted", back, len(wrong))


def silences(server, fall_silent, speak, times):
    """The database falls silent under writers, so often: the ledgers, and what is wrong in the end.

    Whoever were not answered within 20 s would raise TimeoutError.
    """
    wrong = []
    with callers(server) as (service, ledgers):
        for _ in range(times):
            with writing(ledgers):
                until(risen(ledgers, "acknowledged", by=10))  # each on a connection that is open
                fall_silent()
                try:
                    until(risen(ledgers, "refused"))
                    answer = service.get(LIST)
                    assert answer.status == 503
                    assert answer.headers["retry-after"]
                    health = [service.get(path).status for path in ("/healthz", "/readyz")]
                    assert health == [200, 503]
                finally:
                    speak()
            wrong += settled(service, ledgers)
    longest = max(ledger.longest for ledger in ledgers)
    tried = f"{told(ledgers, times, 'silences')}; 503 after {longest:.1f} s at most"
    return tried, len(wrong)


def test_the_host_of_the_database_vanishes(distant_postgres, size, promise):
    """No packet comes from it, not even one that refuses: as after a power cut."""
    with Server(distant_postgres.url()) as server:
        disconnect, reconnect = distant_postgres.disconnect, distant_postgres.reconnect
        tried, lost = silences(server, disconnect, reconnect, size(1, 10))
    promise("The host of PostgreSQL vanishes", tried, lost)


def test_the_database_stands_still(own_postgres, size, promise):
    """Its host takes what is sent, but nothing comes of it: as when a disk hangs."""
    with Server(own_postgres.url(), DATABASE_TIMEOUT="3") as server:
        tried, lost = silences(server, own_postgres.suspend, own_postgres.resume, size(1, 10))
    promise("PostgreSQL stands still", tried, lost)
