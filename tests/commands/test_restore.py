import json
import os
import sqlite3
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_STORED, ZipFile

import psycopg
import pytest
from django.core.management import CommandError, call_command

from mailboxes.backups import archive
from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.models import Account, Mailbox, ServerProcess
from mailboxes.monitoring.health import find_failure
from tests.databases import PASS_CODE, default_database, on_postgres, on_sqlite, rows


def back_up(url, path):
    with default_database(url):
        call_command("backup", str(path), "--force")
    return path


def restore(url, *arguments):
    with default_database(url):
        call_command("restore", *map(str, arguments))


def held(url):
    """All that the database holds."""
    with default_database(url):
        return rows()


def refusal(url, *arguments):
    """What the command says when it refuses; it must have changed nothing."""
    before = held(url)
    with pytest.raises(CommandError) as refused:
        restore(url, *arguments)
    assert held(url) == before
    return str(refused.value)


@cache
def backup_of_filled(databases) -> bytes:
    with TemporaryDirectory() as folder:
        return back_up(databases.filled, Path(folder) / "mailboxes.backup").read_bytes()


@pytest.fixture
def backup(databases, tmp_path):
    backup = tmp_path / "mailboxes.backup"
    backup.write_bytes(backup_of_filled(databases))
    return backup


def test_all_of_it_comes_back_elsewhere(databases, backup, capsys):
    elsewhere = databases.empty()
    restore(elsewhere, backup)
    assert f"Restored {backup}, of 20" in capsys.readouterr().out
    assert held(elsewhere) == held(databases.filled)


def test_the_restored_service_works_on(databases, backup):
    elsewhere = databases.empty()
    restore(elsewhere, backup)
    with default_database(elsewhere):
        opens = Mailbox.objects.first().password == PASS_CODE
        assert opens
        account = Account.objects.create(name="numbered-anew")
        mailbox = Mailbox.objects.create(account=account, name="Sales")
        assert mailbox.history.count() == 1
        assert find_failure() is None


def test_into_a_database_that_is_migrated_and_empty(databases, backup):
    elsewhere = databases.copy()
    with default_database(elsewhere):
        call_command("flush", interactive=False, verbosity=0)
    restore(elsewhere, backup)
    assert held(elsewhere) == held(databases.filled)


def test_data_is_not_lost_without_a_word(databases, backup):
    assert refusal(databases.filled, backup) == (
        "The database has data already: name an empty one in DATABASE_URL, "
        "or add --replace to lose what it holds."
    )


def test_replace(databases, backup):
    url = databases.copy()
    with default_database(url):
        Account.objects.create(name="newcomer")
        Mailbox.objects.first().soft_delete()
    restore(url, backup, "--replace")
    assert held(url) == held(databases.filled)


def test_no_such_file(databases, tmp_path):
    assert refusal(databases.filled, tmp_path / "none") == (
        f"{tmp_path}/none cannot be restored: No such file or directory."
    )


@pytest.mark.parametrize("size", [0, 40, 5000, -1])
def test_a_backup_that_is_cut_off(databases, backup, size):
    os.truncate(backup, size if size >= 0 else backup.stat().st_size + size)
    assert refusal(databases.filled, backup, "--replace") == (
        f"{backup} is no backup of this service, or is cut off or altered."
    )


@pytest.mark.parametrize("part", [0, 0.25, 0.5, 0.75, 1])
def test_a_backup_with_an_altered_bit(databases, backup, part):
    altered = bytearray(backup.read_bytes())
    altered[int(part * (len(altered) - 1))] ^= 1
    backup.write_bytes(altered)
    assert refusal(databases.filled, backup, "--replace") == (
        f"{backup} is no backup of this service, or is cut off or altered."
    )


def test_another_file(databases, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("Call Pete back. " * 100)
    assert refusal(databases.filled, other, "--replace") == (
        f"{other} is no backup of this service, or is cut off or altered."
    )


def alter_manifest(backup, alter):
    """Write the backup anew with another manifest, and a seal that fits."""
    with ZipFile(backup) as file:
        manifest = json.loads(file.read(archive.MANIFEST))
        (dump,) = set(file.namelist()) - {archive.MANIFEST}
        kept = file.read(dump)
    alter(manifest)
    with ZipFile(backup, "w", ZIP_STORED) as file:
        file.writestr(archive.MANIFEST, json.dumps(manifest))
        file.writestr(dump, kept)
        file.comment = bytes(archive.SEAL_BYTES)
    archive.seal(backup)


def test_a_dump_that_is_not_what_the_manifest_says(databases, backup):
    """As if somebody had put two backups together."""

    def count_one_more(manifest):
        manifest["tables"]["mailboxes_mailbox"]["rows"] += 1

    alter_manifest(backup, count_one_more)
    assert refusal(databases.filled, backup, "--replace") == (
        f"{backup} does not hold what its manifest says (in mailboxes_mailbox)."
    )


@pytest.fixture
def other_keys(settings):
    """PASS_CODE_KEYS names another key than when the backups were made; the name of the old one."""
    before = settings.PASS_CODE_KEYS
    settings.PASS_CODE_KEYS = KeyRing([os.urandom(KEY_BYTES)])
    return before.current


def test_pass_codes_under_a_key_that_is_not_at_hand(databases, backup, other_keys):
    assert refusal(databases.filled, backup, "--replace") == (
        f"{backup} has pass codes under keys that PASS_CODE_KEYS lacks ({other_keys}): list those "
        "keys too, or add --without-keys to restore these as well, though nothing opens them."
    )


def test_a_key_that_is_lost(databases, backup, other_keys):
    elsewhere = databases.empty()
    restore(elsewhere, backup, "--without-keys")
    assert held(elsewhere) == held(databases.filled)


def test_a_new_key_beside_the_old_one(databases, backup, settings):
    """Some are sealed with the one, some with the other: the backup needs both."""
    url = databases.copy()
    old = settings.PASS_CODE_KEYS
    new = KeyRing([os.urandom(KEY_BYTES)])
    settings.PASS_CODE_KEYS = new
    with default_database(url):
        mailbox = Mailbox.objects.first()
        mailbox.password = PASS_CODE
        mailbox.save()
    back_up(url, backup)
    assert f"({old.current})" in refusal(databases.filled, backup, "--replace")
    settings.PASS_CODE_KEYS = old
    assert f"({new.current})" in refusal(databases.filled, backup, "--replace")


def test_a_backup_that_does_not_tell_its_keys(databases, backup, other_keys):
    """The first ones did not."""
    alter_manifest(backup, lambda manifest: manifest.pop("keys"))
    elsewhere = databases.empty()
    restore(elsewhere, backup)
    assert held(elsewhere) == held(databases.filled)


def test_a_backup_of_the_other_engine(databases, backup, sqlite_databases, postgres_databases):
    (other,) = {sqlite_databases, postgres_databases} - {databases}
    assert refusal(other.filled, backup, "--replace") == (
        f"{backup} is a backup of {databases.engine}, "
        f"and DATABASE_URL names a database of {other.engine}."
    )


def test_a_backup_of_a_newer_version(databases, tmp_path):
    url = databases.copy()
    with default_database(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied)"
            " VALUES ('mailboxes', '9999_rooms', CURRENT_TIMESTAMP)"
        )
    newer = back_up(url, tmp_path / "mailboxes.backup")
    assert refusal(databases.filled, newer, "--replace") == (
        f"{newer} is of a newer version of this service, with mailboxes.9999_rooms: "
        "restore it with that version."
    )


def test_a_backup_of_an_older_version_can_be_migrated(databases, tmp_path, capsys):
    url = databases.copy()
    with default_database(url):
        call_command("migrate", "mailboxes", "0002", verbosity=0)
    older = back_up(url, tmp_path / "mailboxes.backup")
    newer = databases.copy()
    restore(newer, older, "--replace")
    assert capsys.readouterr().out.endswith("run manage.py migrate now.\n")
    with default_database(newer):
        call_command("migrate", verbosity=0)
        assert find_failure() is None
        assert Mailbox.objects.count() == 20


@on_sqlite
def test_a_service_that_runs_is_not_written_over(databases, backup):
    url = databases.copy()
    running = sqlite3.connect(url.removeprefix("sqlite:///"))
    running.execute("SELECT * FROM mailboxes_account").fetchall()
    said = refusal(url, backup, "--replace")
    running.close()
    assert said == "Another program has the database open: stop the service first."


@on_sqlite
def test_a_database_with_pages_of_another_size(databases, backup):
    url = databases.empty()
    database = sqlite3.connect(url.removeprefix("sqlite:///"))
    database.execute("PRAGMA page_size=1024")
    database.execute("PRAGMA journal_mode=WAL")
    database.close()
    with default_database(url):
        call_command("migrate", verbosity=0)
    assert "attempt to write a readonly database" in refusal(url, backup, "--replace")


@on_sqlite
def test_what_was_written_last_is_replaced_too(databases, backup):
    """A service that was killed leaves its last writes in the -wal file beside the database."""
    url = databases.copy()
    file = url.removeprefix("sqlite:///")
    killed = (
        "import os, sqlite3, sys; database = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "database.execute('DELETE FROM mailboxes_historicalmailbox'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", killed, file], check=True)
    assert os.path.getsize(f"{file}-wal") > 0
    restore(url, backup, "--replace")
    assert held(url) == held(databases.filled)


@on_postgres
def test_what_reads_back_differently_is_taken_back(databases, backup):
    """A rule of the database's own that interferes stands for a disk that does."""
    url = databases.copy()
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE FUNCTION interfere() RETURNS event_trigger LANGUAGE plpgsql AS"
            " 'BEGIN DELETE FROM public.mailboxes_importrow; DELETE FROM public.mailboxes_emailrecipient; END'"
        )
        connection.execute(
            "CREATE EVENT TRIGGER interfere ON ddl_command_end WHEN TAG IN ('CREATE INDEX')"
            " EXECUTE FUNCTION interfere()"
        )
    assert refusal(url, backup, "--replace") == (
        "The tables read back differently from what was written, so nothing was changed "
        "(in mailboxes_emailrecipient)."
    )


@on_postgres
def test_a_database_with_a_time_zone_of_its_own(databases, backup):
    url = databases.copy()
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'")
    restore(url, backup, "--replace")
    restore(url, back_up(url, backup), "--replace")
    assert held(url) == held(databases.filled)


@on_postgres
def test_what_cannot_be_removed_is_not_replaced(databases, backup):
    url = databases.copy()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE VIEW names AS SELECT name FROM mailboxes_mailbox")
    said = refusal(url, backup, "--replace")
    assert said.startswith("PostgreSQL refused: cannot drop desired object(s)")


def test_processes_of_the_server_are_not_in_a_backup(databases, tmp_path):
    """After a restore their rows would name processes that do not run."""
    url = databases.copy()
    with default_database(url):
        ServerProcess.objects.create(host="web1", pid=1, key="0a1b2c3d")
    backup = back_up(url, tmp_path / "mailboxes.backup")
    elsewhere = databases.empty()
    restore(elsewhere, backup)
    assert held(elsewhere) == held(databases.filled)
    restore(url, backup, "--replace")
    assert held(url) == held(databases.filled)


def test_processes_of_the_server_are_no_data(databases, backup):
    """An empty service that has begun to run is restored into without --replace."""
    elsewhere = databases.empty()
    with default_database(elsewhere):
        call_command("migrate", verbosity=0)
        ServerProcess.objects.create(host="web1", pid=1, key="0a1b2c3d")
    restore(elsewhere, backup)
    assert held(elsewhere) == held(databases.filled)
