"""History parted by account, by the sample in docs/scaling: the service goes on as it was."""

import subprocess
import time

import psycopg
import pytest

from tests.guarantees.ledger import Ledger, differences, writing
from tests.server import ROOT, Server
from tests.service import OverSocket

PARTS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'mailboxes_historicalmailbox'::regclass"


@pytest.fixture
def server(postgres):
    with Server(postgres.create("in_parts")) as running:
        yield running


def part(postgres, url):
    sample = ROOT / "docs/scaling/partitions.sql"
    done = subprocess.run(
        [postgres.programs / "psql", "--single-transaction", "--set=ON_ERROR_STOP=1", url],
        input=sample.read_text(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with psycopg.connect(url) as connection:
        assert connection.execute(PARTS).fetchone() == (16,)


def test_the_history_of_mailboxes_in_parts(postgres, server):
    headers = server.prepare()
    url = server.environment["DATABASE_URL"]
    service = OverSocket(headers, port=server.port)
    ledgers = [Ledger(f"w{number}", headers, server.port) for number in range(2)]
    for parted in (False, True):
        if parted:
            part(postgres, url)
        with writing(ledgers):
            time.sleep(1)
        for ledger in ledgers:
            ledger.settle()
        assert differences(service, ledgers) == []
    for each in (service, *(ledger.service for ledger in ledgers)):
        each.close()
