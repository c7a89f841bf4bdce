"""Each real process has a row in a real database while it runs."""

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
INTERVAL = 0.1  # seconds between beats


@pytest.fixture
def database(databases):
    """The URL of a filled database, which is Django's default during the test."""
    url = databases.copy()
    with default_database(url):
        yield url


@pytest.fixture
def postgres_to_stop(postgres):
    """A PostgreSQL that only this test uses, and the URL of a migrated database in it."""
    with PrivatePostgres(postgres.programs) as running:
        url = running.create("mailboxes")
        with default_database(url):
            call_command("migrate", verbosity=0)
        yield running, url


def find_row(process, **lookups):
    return ServerProcess.objects.filter(pid=process.pid, **lookups).first()


def wait_for_refresh(row):
    """Return the row after the next heartbeat."""
    return until(lambda: ServerProcess.objects.filter(pk=row.pk, seen_at__gt=row.seen_at).first())


def test_process_is_recorded_from_start_to_stop(database):
    with RunningProcess(database) as process:
        assert list(ServerProcess.objects.alive()) == [find_row(process)]
        assert find_row(process).key == settings.PASS_CODE_KEYS.current
    assert not ServerProcess.objects.exists()
    assert (process.returncode, process.final_output) == (0, "started\n")


def test_row_of_the_process_is_refreshed(database):
    with RunningProcess(database, interval=INTERVAL) as process:
        row = find_row(process)
        assert wait_for_refresh(row).started_at == row.started_at


def test_removed_row_is_inserted_again(database):
    with RunningProcess(database, interval=INTERVAL) as process:
        row = wait_for_refresh(find_row(process))
        ServerProcess.objects.all().delete()
        inserted = until(lambda: find_row(process))
        assert inserted.pk == row.pk
        assert inserted.started_at < row.seen_at


def test_killed_process_counts_as_alive_for_three_minutes(database):
    with RunningProcess(database) as process:
        process.kill()
    ServerProcess.objects.update(seen_at=Now() - timedelta(minutes=2))
    assert ServerProcess.objects.alive().exists()
    ServerProcess.objects.update(seen_at=Now() - timedelta(minutes=4))
    assert not ServerProcess.objects.alive().exists()


@pytest.mark.long
def test_process_that_starts_before_the_migration_is_recorded_later(databases):
    url = databases.empty()
    with default_database(url), RunningProcess(url) as process:
        call_command("migrate", verbosity=0)
        assert until(lambda: find_row(process))


@pytest.mark.long
@on_sqlite
def test_start_does_not_wait_for_a_database_lock(database):
    writer = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with RunningProcess(database) as process:
        assert find_row(process) is None
        writer.close()
        assert until(lambda: find_row(process))


@pytest.mark.long
def test_unavailable_database_is_reported_once_and_retried(postgres_to_stop):
    postgres, url = postgres_to_stop
    with RunningProcess(url, interval=INTERVAL) as process:
        postgres.stop()
        until(lambda: WARNING in process.output())
        with RunningProcess(url) as started_meanwhile:
            postgres.start()
            with default_database(url):
                assert wait_for_refresh(find_row(process))
                assert until(lambda: find_row(started_meanwhile))
    assert process.final_output.count(WARNING) == 1
    assert "Traceback" not in process.final_output


@pytest.mark.long
def test_process_stops_while_the_database_is_unavailable(postgres_to_stop):
    postgres, url = postgres_to_stop
    with RunningProcess(url) as process:
        postgres.stop()
    assert (process.returncode, process.final_output) == (0, "started\n")
