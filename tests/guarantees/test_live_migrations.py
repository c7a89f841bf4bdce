"""Migrations of large tables, on PostgreSQL, while callers call and somebody reads for long."""

import subprocess
import sys
import tempfile
from contextlib import ExitStack, closing

import psycopg
import pytest
from django.core.management import call_command
from psycopg.errors import LockNotAvailable

from mailboxes.models import Account
from tests.conftest import headers_for
from tests.databases import default_database, on_postgres
from tests.guarantees.ledger import Ledger, differences, risen, writing
from tests.server import ROOT, Server, process_environment, until
from tests.service import OverSocket

CALLERS = 6
LOCK_TIMEOUT = 0.5  # seconds
MIGRATIONS = 5  # of tests/guarantees/upgrade


class Migrate:
    """`with Migrate(url) as migrate:` the next version's migrations under way, in a process of their own."""

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
        self.log.seek(0)
        return self.log.read()

    def gave_way(self) -> int:
        """How often it let callers pass and tried again."""
        return self.output().count("Trying again")

    def end(self) -> int:
        """Its status, once it has ended."""
        return self.process.wait(timeout=600)


def read_on(connection):
    """Read the mailboxes in a transaction that goes on and on, as a backup does."""
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    connection.execute("SELECT count(*) FROM mailboxes_mailbox")


def ask(url, question):
    """What the database answers."""
    with psycopg.connect(url) as connection:
        return connection.execute(question).fetchone()[0]


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
def test_large_tables_are_migrated_while_callers_call(databases, size, promise):
    count = size(500, 100_000)
    url = databases.copy()
    with default_database(url):
        call_command("flush", interactive=False, verbosity=0)
        call_command("load_demo", "--mailboxes", str(count))
        headers = headers_for(Account.objects.create(name="caller"))
    with Server(url) as server, ExitStack() as connections:
        ledgers = [Ledger(f"w{number}", headers, server.port) for number in range(CALLERS)]
        for ledger in ledgers:
            connections.callback(ledger.service.close)
        with writing(ledgers), psycopg.connect(url) as reader:
            read_on(reader)
            with Migrate(url, "mailboxes", "9002") as migrate:
                until(lambda: migrate.gave_way() > 1)
                until(risen(ledgers, "acknowledged"))
                reader.rollback()
                assert migrate.end() == 0, migrate.output()
                gave_way = migrate.gave_way()
            read_on(reader)
            with Migrate(url) as migrate:
                until(lambda: ask(url, WAITS_FOR_THE_READER))
                until(risen(ledgers, "acknowledged"))
                reader.rollback()
                assert migrate.end() == 0, migrate.output()
        with closing(OverSocket(headers, port=server.port)) as service:
            wrong = differences(service, ledgers)
    assert ask(url, VALID)
    assert ask(url, FILLED) == count
    failed = sum(ledger.refused + ledger.unanswered for ledger in ledgers)
    acknowledged = sum(ledger.acknowledged for ledger in ledgers)
    longest = max(ledger.longest for ledger in ledgers)
    tried = (
        f"{MIGRATIONS} migrations of {count:,} mailboxes, {acknowledged:,} acknowledged writes; "
        f"gave way {gave_way} times, the longest call took {longest:.1f} s"
    )
    promise("Large tables are migrated while callers call", tried, len(wrong) + failed)


@on_postgres
def test_a_table_that_stays_in_use_is_left_alone(databases):
    url = databases.copy()
    with psycopg.connect(url) as reader:
        read_on(reader)
        with Migrate(url, "--tries", "2") as migrate:
            assert migrate.end() == 1
            assert migrate.gave_way() == 1
            assert "A table stayed in use" in migrate.output()
    assert ask(url, "SELECT count(*) FROM django_migrations WHERE name LIKE '9%'") == 0


@on_postgres
def test_callers_would_wait_behind_one_that_waits(databases):
    """What the limit is for: whoever reads after it waits too."""
    url = databases.copy()
    with psycopg.connect(url) as reader, psycopg.connect(url) as caller:
        read_on(reader)
        with Migrate(url, "--lock-timeout", "60") as migrate:
            until(lambda: ask(url, WAITS_FOR_THE_TABLE))
            caller.execute("SET lock_timeout = '200ms'")
            with pytest.raises(LockNotAvailable):
                caller.execute("SELECT count(*) FROM mailboxes_mailbox")
            caller.rollback()
            reader.rollback()
            assert migrate.end() == 0
