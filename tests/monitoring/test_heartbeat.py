"""A process of the server is in the database while it runs: real processes on real databases."""

import sqlite3
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db.models.functions import Now

from mailboxes.models import ServerProcess
from tests.databases import default_database, on_sqlite
from tests.postgres import PrivatePostgres
from tests.processes import RunningProcess
from tests.server import until

WARNING = "The database does not record that this process runs: "
OFTEN = 0.1  # seconds between beats


@pytest.fixture
def database(databases):
    """The URL of a filled database, which is the default one meanwhile."""
    url = databases.copy()
    with default_database(url):
        yield url


@pytest.fixture
def postgres_to_stop(postgres):
    """A PostgreSQL of the test's own that runs, and the URL of a migrated database of it."""
    with PrivatePostgres(postgres.programs) as running:
        url = running.create("mailboxes")
        with default_database(url):
            call_command("migrate", verbosity=0)
        yield running, url


def row_of(process, **lookups):
    return ServerProcess.objects.filter(pid=process.pid, **lookups).first()


def refreshed(row):
    """Return the row once it has been written again."""
    return until(lambda: ServerProcess.objects.filter(pk=row.pk, seen_at__gt=row.seen_at).first())


def test_process_is_recorded_from_start_to_stop(database):
    with RunningProcess(database) as process:
        assert list(ServerProcess.objects.alive()) == [row_of(process)]
        assert row_of(process).key == settings.PASS_CODE_KEYS.current
    assert not ServerProcess.objects.exists()
    assert (process.returncode, process.last_words) == (0, "started\n")


def test_row_is_refreshed(database):
    with RunningProcess(database, interval=OFTEN) as process:
        row = row_of(process)
        assert refreshed(row).started_at == row.started_at


def test_row_that_a_restore_removed_comes_back(database):
    with RunningProcess(database, interval=OFTEN) as process:
        row = refreshed(row_of(process))
        ServerProcess.objects.all().delete()
        again = until(lambda: row_of(process))
        assert again.pk == row.pk
        assert again.started_at < row.seen_at


def test_killed_process_counts_as_alive_for_three_minutes(database):
    with RunningProcess(database) as process:
        process.kill()
    ServerProcess.objects.update(seen_at=Now() - timedelta(minutes=2))
    assert ServerProcess.objects.alive().exists()
    ServerProcess.objects.update(seen_at=Now() - timedelta(minutes=4))
    assert not ServerProcess.objects.alive().exists()


@pytest.mark.long
def test_process_that_starts_before_the_tables_are_made_is_recorded_later(databases):
    url = databases.empty()
    with default_database(url), RunningProcess(url) as process:
        call_command("migrate", verbosity=0)
        assert until(lambda: row_of(process))


@on_sqlite
def test_start_does_not_wait_for_another_writer(database):
    writer = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with RunningProcess(database) as process:
        assert row_of(process) is None
        writer.close()
        assert until(lambda: row_of(process))


@pytest.mark.long
def test_database_that_is_away_is_reported_once_and_tried_again(postgres_to_stop):
    postgres, url = postgres_to_stop
    with RunningProcess(url, interval=OFTEN) as process:
        postgres.stop()
        until(lambda: WARNING in process.output())
        with RunningProcess(url) as started_meanwhile:
            postgres.start()
            with default_database(url):
                assert refreshed(row_of(process))
                assert until(lambda: row_of(started_meanwhile))
    assert process.last_words.count(WARNING) == 1
    assert "Traceback" not in process.last_words


def test_process_stops_while_the_database_is_away(postgres_to_stop):
    postgres, url = postgres_to_stop
    with RunningProcess(url) as process:
        postgres.stop()
    assert (process.returncode, process.last_words) == (0, "started\n")
