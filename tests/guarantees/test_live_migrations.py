"""Migrations of large tables on PostgreSQL, during calls and a long transaction."""

import subprocess
import sys
import tempfile
from contextlib import closing

import psycopg
import pytest
from django.core.management import call_command
from psycopg.errors import LockNotAvailable

from mailboxes.models import Account
from tests.conftest import headers_for
from tests.databases import default_database, on_postgres
from tests.guarantees.writers import (
    find_differences,
    open_writers,
    sum_counts,
    watch_growth,
    writing,
)
from tests.server import ROOT, Server, process_environment, read_log, until
from tests.service import OverSocket

CALLERS = 6
LOCK_TIMEOUT = 0.5  # seconds
MIGRATIONS = 5  # of tests/guarantees/upgrade


class Migrate:
    """A process that applies the migrations of tests/guarantees/upgrade."""

    def __init__(self, url, *arguments):
        self.arguments = ["migrate", "--lock-timeout", str(LOCK_TIMEOUT), *arguments]
        self.environment = process_environment(
            url, DJANGO_SETTINGS_MODULE="tests.guarantees.upgrade.settings"
        )

    def __enter__(self):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", *self.arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def output(self) -> str:
        return read_log(self.log)

    def count_retries(self) -> int:
        """Return how often it released its locks to let callers continue."""
        return self.output().count("Trying again")

    def wait(self) -> int:
        """Wait for its end, and return its exit status."""
        return self.process.wait(timeout=600)


def start_long_read(connection):
    """Read the mailboxes in a transaction that stays open, as a backup does."""
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    connection.execute("SELECT count(*) FROM mailboxes_mailbox")


def fetch_value(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone()[0]


WAITS_FOR_THE_READER = f"""
    SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%'
    AND wait_event = 'virtualxid' AND now() - query_start > interval '{LOCK_TIMEOUT * 2} seconds'
"""
WAITS_FOR_THE_TABLE = """
    SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE%' AND wait_event_type = 'Lock'
"""
FILLED = """
    SELECT count(*) FROM mailboxes_mailbox JOIN mailboxes_account ON id = account_id
    WHERE mailboxes_account.name != 'caller' AND label = upper(mailboxes_mailbox.name)
"""
VALID = """
    SELECT (SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_label'::regclass)
    AND (SELECT convalidated FROM pg_constraint WHERE conname = 'label_not_blank')
"""


@on_postgres
def test_large_tables_are_migrated_during_calls(databases, size, promise):
    count = size(500, 100_000)
    url = databases.copy()
    with default_database(url):
        call_command("flush", interactive=False, verbosity=0)
        call_command("load_demo", "--accounts", "100", "--mailboxes", str(count))
        headers = headers_for(Account.objects.create(name="caller"))
    with Server(url) as server, open_writers(CALLERS, headers, server.port) as writers:
        with writing(writers), psycopg.connect(url) as reader:
            start_long_read(reader)
            with Migrate(url, "mailboxes", "9002") as migrate:
                until(lambda: migrate.count_retries() > 1)
                until(watch_growth(writers, "acknowledged"))
                reader.rollback()
                assert migrate.wait() == 0, migrate.output()
                retries = migrate.count_retries()
            start_long_read(reader)
            with Migrate(url) as migrate:
                until(lambda: fetch_value(url, WAITS_FOR_THE_READER))
                until(watch_growth(writers, "acknowledged"))
                reader.rollback()
                assert migrate.wait() == 0, migrate.output()
        with closing(OverSocket(headers, port=server.port)) as service:
            wrong = find_differences(service, writers)
    assert fetch_value(url, VALID)
    assert fetch_value(url, FILLED) == count
    failed = sum_counts(writers, "refused") + sum_counts(writers, "unanswered")
    acknowledged = sum_counts(writers, "acknowledged")
    longest = max(writer.longest for writer in writers)
    tried = (
        f"{MIGRATIONS} migrations of {count:,} mailboxes, {acknowledged:,} acknowledged writes; "
        f"{retries} retries, the longest call took {longest:.1f} s"
    )
    promise("Large tables are migrated during calls", tried, len(wrong) + failed)


@on_postgres
def test_table_that_stays_in_use_is_not_migrated(databases):
    url = databases.copy()
    with psycopg.connect(url) as reader:
        start_long_read(reader)
        with Migrate(url, "--tries", "2") as migrate:
            assert migrate.wait() == 1
            assert migrate.count_retries() == 1
            assert "A table stayed in use" in migrate.output()
    assert fetch_value(url, "SELECT count(*) FROM django_migrations WHERE name LIKE '9%'") == 0


@on_postgres
def test_long_lock_timeout_blocks_callers(databases):
    """Queries queue behind a migration that waits for a lock. Hence the lock timeout is short."""
    url = databases.copy()
    with psycopg.connect(url) as reader, psycopg.connect(url) as caller:
        start_long_read(reader)
        with Migrate(url, "--lock-timeout", "60") as migrate:
            until(lambda: fetch_value(url, WAITS_FOR_THE_TABLE))
            caller.execute("SET lock_timeout = '200ms'")
            with pytest.raises(LockNotAvailable):
                caller.execute("SELECT count(*) FROM mailboxes_mailbox")
            caller.rollback()
            reader.rollback()
            assert migrate.wait() == 0
