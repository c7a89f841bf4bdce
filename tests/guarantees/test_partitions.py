"""History partitioned with the sample of docs/scaling: no write is lost."""

import subprocess
import time
from contextlib import closing

import psycopg
import pytest
from django.core.management import call_command

from tests.databases import default_database
from tests.guarantees.writers import find_differences, open_writers, writing
from tests.server import ROOT, PreparedServer
from tests.service import OverSocket

PARTITIONS = (
    "SELECT count(*) FROM pg_inherits WHERE inhparent = 'mailboxes_historicalmailbox'::regclass"
)


@pytest.fixture
def server(postgres):
    with PreparedServer(postgres.create("partitioned")) as running:
        yield running


def partition_history(postgres, url):
    sample = ROOT / "docs/scaling/partitions.sql"
    process = subprocess.run(
        [postgres.programs / "psql", "--single-transaction", "--set=ON_ERROR_STOP=1", url],
        input=sample.read_text(),
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    with psycopg.connect(url) as connection:
        assert connection.execute(PARTITIONS).fetchone() == (16,)


def test_partitioned_history_loses_no_write(postgres, server):
    headers = server.headers
    url = server.environment["DATABASE_URL"]
    with (
        closing(OverSocket(headers, port=server.port)) as service,
        open_writers(2, headers, server.port) as writers,
    ):
        for is_partitioned in (False, True):
            if is_partitioned:
                partition_history(postgres, url)
            with writing(writers):
                time.sleep(1)
            for writer in writers:
                writer.settle()
            assert find_differences(service, writers) == []


@pytest.mark.long
def test_partitioned_history_is_migrated(postgres):
    url = postgres.create("partitioned_and_migrated")
    with default_database(url):
        call_command("migrate", "mailboxes", "0013_order_of_changes", verbosity=0)
    partition_history(postgres, url)
    with default_database(url), psycopg.connect(url) as connection:
        connection.execute("DROP INDEX mailbox_history_by_version")
        connection.commit()
        call_command("migrate", verbosity=0)
        query = "SELECT count(*) FROM pg_indexes WHERE indexname = 'mailbox_history_by_version'"
        assert connection.execute(query).fetchone() == (1,)
