"""The `restore` command."""

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
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from mailboxes.api.health import DataCheck
from mailboxes.backups import archive, checksums, postgresql, sqlite
from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.models import Account, Mailbox, ServerProcess
from tests.commands.test_backup import contents
from tests.databases import (
    PASS_CODE,
    default_database,
    headers_for,
    on_postgres,
    on_sqlite,
    rows,
)
from tests.delivery.running import run_tasks
from tests.delivery.tasks import note
from tests.service import InProcess

PASSWORD = "correct horse"


def back_up(url, path):
    with default_database(url):
        call_command("backup", str(path), "--force")
    return path


def restore(url, *arguments):
    with default_database(url):
        call_command("restore", *map(str, arguments))


def all_rows(url):
    with default_database(url):
        return rows()


def refusal(url, *arguments):
    """Return the command's error, and check that it changed nothing."""
    before = all_rows(url)
    with pytest.raises(CommandError) as refused:
        restore(url, *arguments)
    assert all_rows(url) == before
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


def test_backup_is_restored_completely_into_another_database(databases, backup, capsys):
    other_url = databases.empty()
    restore(other_url, backup)
    assert f"Restored {backup} of 20" in capsys.readouterr().out
    assert all_rows(other_url) == all_rows(databases.filled)


def test_restored_service_accepts_new_rows(databases, backup):
    other_url = databases.empty()
    restore(other_url, backup)
    with default_database(other_url):
        opens = Mailbox.objects.first().password == PASS_CODE
        assert opens
        account = Account.objects.create(name="numbered-anew")
        mailbox = Mailbox.objects.create(account=account, name="Sales")
        assert mailbox.history.count() == 1
        assert DataCheck().find_failure() is None


def test_migrated_and_empty_database_needs_no_replace(databases, backup):
    other_url = databases.copy()
    with default_database(other_url):
        call_command("flush", interactive=False, verbosity=0)
    restore(other_url, backup)
    assert all_rows(other_url) == all_rows(databases.filled)


def test_database_with_data_is_refused(databases, backup):
    assert refusal(databases.filled, backup) == (
        "The database is not empty: name an empty one in DATABASE_URL, "
        "or add --replace to delete its data."
    )


def test_replace_overwrites_the_data(databases, backup):
    url = databases.copy()
    with default_database(url):
        Account.objects.create(name="newcomer")
        Mailbox.objects.first().soft_delete()
    restore(url, backup, "--replace")
    assert all_rows(url) == all_rows(databases.filled)


def test_missing_file_is_refused(databases, tmp_path):
    assert refusal(databases.filled, tmp_path / "none") == (
        f"{tmp_path}/none cannot be restored: No such file or directory."
    )


@pytest.mark.parametrize("size", [0, 40, 5000, -1])
def test_truncated_backup_is_refused(databases, backup, size):
    os.truncate(backup, size if size >= 0 else backup.stat().st_size + size)
    assert refusal(databases.filled, backup, "--replace") == (
        f"{backup} is not a backup of this service, or was truncated or changed."
    )


@pytest.mark.parametrize("part", [0, 0.25, 0.5, 0.75, 1])
def test_backup_with_a_flipped_bit_is_refused(databases, backup, part):
    changed = bytearray(backup.read_bytes())
    changed[int(part * (len(changed) - 1))] ^= 1
    backup.write_bytes(changed)
    assert refusal(databases.filled, backup, "--replace") == (
        f"{backup} is not a backup of this service, or was truncated or changed."
    )


def test_file_that_is_no_backup_is_refused(databases, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("Call Pete back. " * 100)
    assert refusal(databases.filled, other, "--replace") == (
        f"{other} is not a backup of this service, or was truncated or changed."
    )


def change_manifest(backup, change):
    """Write the backup again with another manifest and a matching digest."""
    with ZipFile(backup) as file:
        manifest = json.loads(file.read(archive.MANIFEST))
        (dump,) = set(file.namelist()) - {archive.MANIFEST}
        content = file.read(dump)
    change(manifest)
    with ZipFile(backup, "w", ZIP_STORED) as file:
        file.writestr(archive.MANIFEST, json.dumps(manifest))
        file.writestr(dump, content)
        file.comment = bytes(archive.DIGEST_LENGTH)
    archive.write_digest(backup)


def test_dump_that_differs_from_its_manifest_is_refused(databases, backup):
    """Two backups could have been mixed up in one file."""

    def count_one_more(manifest):
        manifest["tables"]["mailboxes_mailbox"]["rows"] += 1

    change_manifest(backup, count_one_more)
    assert refusal(databases.filled, backup, "--replace") == (
        f"{backup} does not match its manifest (in mailboxes_mailbox)."
    )


@pytest.fixture
def other_keys(settings):
    """Replace the key in PASS_CODE_KEYS, and return the name of the old one."""
    before = settings.PASS_CODE_KEYS
    settings.PASS_CODE_KEYS = KeyRing([os.urandom(KEY_BYTES)])
    return before.current


def test_pass_codes_with_a_missing_key_are_refused(databases, backup, other_keys):
    assert refusal(databases.filled, backup, "--replace") == (
        f"{backup} has pass codes encrypted with keys that are not in PASS_CODE_KEYS "
        f"({other_keys}): add those keys, or add --without-keys to restore "
        "these pass codes too, although they cannot be decrypted."
    )


def test_without_keys_restores_pass_codes_with_a_missing_key(databases, backup, other_keys):
    other_url = databases.empty()
    restore(other_url, backup, "--without-keys")
    assert all_rows(other_url) == all_rows(databases.filled)


def test_backup_with_two_keys_needs_both(databases, backup, settings):
    """Some pass codes are encrypted with each of the keys: the backup needs both."""
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


def test_backup_without_a_list_of_keys_is_restored(databases, backup, other_keys):
    """The first backups had no list of keys."""
    change_manifest(backup, lambda manifest: manifest.pop("keys"))
    other_url = databases.empty()
    restore(other_url, backup)
    assert all_rows(other_url) == all_rows(databases.filled)


def test_backup_of_the_other_engine_is_refused(
    databases, backup, sqlite_databases, postgres_databases
):
    (other,) = {sqlite_databases, postgres_databases} - {databases}
    assert refusal(other.filled, backup, "--replace") == (
        f"{backup} is a backup of {databases.engine}, "
        f"but DATABASE_URL names a {other.engine} database."
    )


def test_backup_of_a_newer_version_is_refused(databases, tmp_path):
    url = databases.copy()
    with default_database(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied)"
            " VALUES ('mailboxes', '9999_rooms', CURRENT_TIMESTAMP)"
        )
    newer = back_up(url, tmp_path / "mailboxes.backup")
    assert refusal(databases.filled, newer, "--replace") == (
        f"{newer} was made by a newer version of this service, with mailboxes.9999_rooms: "
        "restore it with that version."
    )


@on_sqlite
def test_sqlite_database_in_use_is_not_overwritten(databases, backup):
    url = databases.copy()
    running = sqlite3.connect(url.removeprefix("sqlite:///"))
    running.execute("SELECT * FROM mailboxes_account").fetchall()
    message = refusal(url, backup, "--replace")
    running.close()
    assert message == "Another program has the database open: stop the service first."


@on_sqlite
def test_database_with_another_page_size_is_refused(databases, backup):
    url = databases.empty()
    database = sqlite3.connect(url.removeprefix("sqlite:///"))
    database.execute("PRAGMA page_size=1024")
    database.execute("PRAGMA journal_mode=WAL")
    database.close()
    with default_database(url):
        call_command("migrate", verbosity=0)
    assert "attempt to write a readonly database" in refusal(url, backup, "--replace")


@on_sqlite
def test_last_writes_in_the_wal_file_are_replaced(databases, backup):
    """A killed service leaves its last writes in the -wal file next to the database."""
    url = databases.copy()
    file = url.removeprefix("sqlite:///")
    killed = (
        "import os, sqlite3, sys; database = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "database.execute('DELETE FROM mailboxes_historicalmailbox'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", killed, file], check=True)
    assert os.path.getsize(f"{file}-wal") > 0
    restore(url, backup, "--replace")
    assert all_rows(url) == all_rows(databases.filled)


@on_postgres
def test_tables_that_read_back_differently_are_rolled_back(databases, backup):
    """A trigger in the database stands for a faulty disk."""
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
        "The restored tables differ from the backup, so nothing was changed "
        "(in mailboxes_emailrecipient)."
    )


@on_postgres
def test_database_with_its_own_time_zone_is_restored_exactly(databases, backup):
    url = databases.copy()
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'")
    restore(url, backup, "--replace")
    restore(url, back_up(url, backup), "--replace")
    assert all_rows(url) == all_rows(databases.filled)


@on_postgres
def test_tables_that_cannot_be_dropped_are_not_replaced(databases, backup):
    url = databases.copy()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE VIEW names AS SELECT name FROM mailboxes_mailbox")
    message = refusal(url, backup, "--replace")
    assert message.startswith("PostgreSQL failed: cannot drop desired object(s)")


def add_process(**fields):
    ServerProcess.objects.create(host="web1", pid=1, key="0a1b2c3d", **fields)


def sign_in_once_wrong_and_once_right():
    User.objects.create_user("mary", password=PASSWORD)
    for password in ("wrong", PASSWORD):
        Client().post("/sign-in/", {"username": "mary", "password": password})
        Client(REMOTE_ADDR="192.0.2.7").post("/sign-in/", {"username": "mary", "password": "wrong"})


def test_rows_of_server_processes_are_not_in_a_backup(databases, tmp_path):
    """After a restore their rows would name processes that are not running."""
    url = databases.copy()
    with default_database(url):
        add_process()
    backup = back_up(url, tmp_path / "mailboxes.backup")
    other_url = databases.empty()
    restore(other_url, backup)
    assert all_rows(other_url) == all_rows(databases.filled)


def test_waiting_task_is_run_after_a_restore(databases, tmp_path):
    lines = tmp_path / "lines"
    url = databases.copy()
    with default_database(url):
        note.enqueue(str(lines), "hello")
    backup = back_up(url, tmp_path / "mailboxes.backup")
    other_url = databases.empty()
    restore(other_url, backup)
    with default_database(other_url):
        assert run_tasks() == 1
    assert lines.read_text() == "hello\n"


def test_rows_of_server_processes_do_not_count_as_data(databases, backup):
    """An empty service that was killed needs no --replace."""
    other_url = databases.empty()
    with default_database(other_url):
        call_command("migrate", verbosity=0)
        add_process()
    restore(other_url, backup, "--force")
    assert all_rows(other_url) == all_rows(databases.filled)


@pytest.mark.parametrize(("runs_tasks", "kind"), [(False, "process"), (True, "task worker")])
def test_database_of_a_running_service_is_not_replaced(databases, backup, runs_tasks, kind):
    url = databases.copy()
    with default_database(url):
        add_process(runs_tasks=runs_tasks)
    message = refusal(url, backup, "--replace")
    assert message.startswith(
        f"The service runs on this database:\n  web1, {kind} 1, running since"
    )
    restore(url, backup, "--replace", "--force")
    assert all_rows(url) == all_rows(databases.filled)


def test_process_that_was_killed_long_ago_does_not_prevent_a_restore(databases, backup):
    url = databases.copy()
    with default_database(url):
        add_process(seen_at=timezone.now() - ServerProcess.ALIVE_AGE)
    restore(url, backup, "--replace")
    assert all_rows(url) == all_rows(databases.filled)


def test_sessions_and_failed_sign_ins_are_not_in_a_backup(databases, tmp_path):
    url = databases.copy()
    with default_database(url):
        sign_in_once_wrong_and_once_right()
        (session_key,) = Session.objects.values_list("session_key", flat=True)
        assert AccessAttempt.objects.exists()
    backup = back_up(url, tmp_path / "mailboxes.backup")
    assert session_key not in contents(backup, tmp_path)
    dump = next(tmp_path.glob("database.*"))
    assert session_key.encode() not in dump.read_bytes()  # deleted rows included
    other_url = databases.empty()
    restore(other_url, backup)
    with default_database(other_url):
        assert not Session.objects.exists()
        assert not AccessAttempt.objects.exists()


def test_cursor_of_changes_is_outdated_after_a_restore(databases, tmp_path):
    url = databases.copy()
    with default_database(url):
        service = InProcess(headers_for(Account.objects.get(), "poller"))
        first = service.get("/voip/mailbox?changed_since=0")
    restore(url, back_up(url, tmp_path / "mailboxes.backup"), "--replace")
    with default_database(url):
        cursor = first.headers["x-changes-cursor"]
        refused = service.get(f"/voip/mailbox?changed_since={cursor}")
        assert (refused.status, refused.errors["changed_since"][0]["code"]) == (400, "outdated")
        assert service.get("/voip/mailbox?changed_since=0").result == first.result


def test_sessions_of_an_older_versions_backup_are_not_restored(databases, tmp_path, monkeypatch):
    url = databases.copy()
    with default_database(url):
        sign_in_once_wrong_and_once_right()
    for module in (checksums, postgresql, sqlite):
        monkeypatch.setattr(module, "EXCLUDED", {ServerProcess._meta.db_table})
    backup = back_up(url, tmp_path / "mailboxes.backup")
    monkeypatch.undo()
    other_url = databases.empty()
    restore(other_url, backup)
    with default_database(other_url):
        assert not Session.objects.exists()
        assert User.objects.exists()
