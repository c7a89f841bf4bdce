"""The `backup` command."""

import os
import shutil
import sqlite3
import stat
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest
from django.core.management import CommandError, call_command

from mailboxes.backups import postgresql
from tests.databases import PASS_CODE, default_database, on_postgres, on_sqlite
from tests.service import shows


def refusal(url, *arguments):
    """Run `backup`, which must fail, and return its error."""
    with default_database(url), pytest.raises(CommandError) as refused:
        call_command("backup", *map(str, arguments))
    return str(refused.value)


def contents(backup, folder):
    """Return the backup's dump as text, read by the database's own tool instead of ours."""
    (name,) = {"database.sqlite3", "database.dump"} & set(ZipFile(backup).namelist())
    dump = ZipFile(backup).extract(name, folder)
    if name == "database.sqlite3":
        copy = sqlite3.connect(dump)
        text = "\n".join(copy.iterdump())
        copy.close()
        return text
    command = [postgresql.find_program("pg_restore"), "--file=-", dump]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return a folder that is first on the PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def replace_program(programs, name, script):
    """Replace a program by a shell script; in it, $real is the program."""
    real = postgresql.find_program(name)
    program = programs / name
    program.write_text(f"#!/bin/sh\nreal='{real}'\n{script}\n")
    program.chmod(0o755)


def test_output_has_path_and_reminder_of_the_keys(databases, tmp_path, capsys):
    backup = tmp_path / "mailboxes.backup"
    with default_database(databases.copy()):
        call_command("backup", str(backup))
    message = capsys.readouterr().out
    assert f"Backed up to {backup}, and verified: " in message
    assert "keep PASS_CODE_KEYS elsewhere" in message


def test_backup_is_the_only_new_file_and_only_its_owner_can_read_it(databases, tmp_path):
    backup = tmp_path / "mailboxes.backup"
    with default_database(databases.copy()):
        call_command("backup", str(backup))
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [backup]


def test_dump_can_be_read_by_other_programs_and_has_no_pass_code_in_clear(databases, tmp_path):
    backup = tmp_path / "mailboxes.backup"
    with default_database(databases.copy()):
        call_command("backup", str(backup))
    text = contents(backup, tmp_path)
    assert "pete7@acme.example" in text
    in_clear = shows(text, PASS_CODE)
    assert not in_clear


def test_existing_file_is_not_overwritten(databases, tmp_path):
    backup = tmp_path / "mailboxes.backup"
    backup.write_text("mine")
    assert refusal(databases.filled, backup) == (
        f"{backup} exists already: choose another name, or add --force to overwrite it."
    )
    assert backup.read_text() == "mine"


def test_force_overwrites_an_existing_file(databases, tmp_path):
    backup = tmp_path / "mailboxes.backup"
    backup.write_text("mine")
    with default_database(databases.copy()):
        call_command("backup", str(backup), "--force")
    assert "manifest.json" in ZipFile(backup).namelist()


def test_missing_folder_is_refused(databases, tmp_path):
    backup = tmp_path / "nowhere" / "mailboxes.backup"
    assert refusal(databases.filled, backup) == (
        f"{backup} cannot be written: No such file or directory."
    )


@on_sqlite
def test_missing_database_is_refused(databases, tmp_path):
    message = refusal(f"sqlite:///{tmp_path}/none.sqlite3", tmp_path / "mailboxes.backup")
    assert message == "SQLite cannot use none.sqlite3: unable to open database file."
    assert list(tmp_path.iterdir()) == []


@on_sqlite
def test_damaged_database_is_refused(databases, tmp_path):
    """An index without some rows is copied unchanged: only reading the copy back finds it."""
    url = databases.copy()
    database = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    index = "SELECT rootpage FROM sqlite_master WHERE name LIKE 'mailboxes_mailbox_%' AND sql != ''"
    (page,) = database.execute(index).fetchone()
    database.execute("PRAGMA writable_schema=ON")
    database.execute(
        "INSERT INTO sqlite_master VALUES ('index', 'short', 'mailboxes_account', ?,"
        " 'CREATE INDEX short ON mailboxes_account (name)')",
        [page],
    )
    database.close()
    backup = tmp_path / "mailboxes.backup"
    backup.write_text("yesterday's")
    assert "The backup's SQLite file is damaged" in refusal(url, backup, "--force")
    assert backup.read_text() == "yesterday's"
    assert list(tmp_path.iterdir()) == [backup]


@on_postgres
def test_dump_that_lacks_rows_is_refused(databases, programs, tmp_path):
    replace_program(programs, "pg_dump", 'exec "$real" --exclude-table-data=mailboxes_account "$@"')
    backup = tmp_path / "mailboxes.backup"
    message = refusal(databases.filled, backup)
    assert message.endswith("does not match its manifest (in mailboxes_account).")
    assert list(tmp_path.iterdir()) == [programs]


@on_postgres
def test_file_created_during_the_backup_is_not_overwritten(databases, programs, tmp_path):
    backup = tmp_path / "mailboxes.backup"
    replace_program(programs, "pg_dump", f'echo mine > "{backup}"; exec "$real" "$@"')
    assert refusal(databases.filled, backup) == f"{backup} cannot be written: File exists."
    assert backup.read_text() == "mine\n"


@on_postgres
def test_database_password_is_not_an_argument_of_pg_dump(databases, programs, tmp_path):
    """Every user of the machine can see the arguments of a running program."""
    replace_program(
        programs,
        "pg_dump",
        f'echo "$@" > "{tmp_path}/arguments"; test "$PGPASSWORD" = open-sesame && exec "$real" "$@"',
    )
    url = databases.filled.replace("@", ":open-sesame@")
    with default_database(url):
        call_command("backup", str(tmp_path / "mailboxes.backup"))
    arguments = (tmp_path / "arguments").read_text()
    assert "--snapshot=" in arguments
    is_visible = "open-sesame" in arguments
    assert not is_visible


@on_postgres
def test_host_in_use_is_backed_up_when_several_are_configured(databases, tmp_path):
    host = f"127.0.0.1:{databases.postgres.port}"
    url = databases.filled.replace(host, f"127.0.0.1:1,{host}")
    backup = tmp_path / "mailboxes.backup"
    with default_database(f"{url}?target_session_attrs=read-write"):
        call_command("backup", str(backup))
    assert "pete7@acme.example" in contents(backup, tmp_path)


@on_postgres
def test_missing_pg_dump_is_named(databases, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgresql, "DEBIAN", tmp_path)
    assert refusal(databases.filled, tmp_path / "mailboxes.backup") == (
        "pg_dump is not installed: install PostgreSQL's client programs."
    )


def test_pg_dump_of_debian_is_found_outside_the_path(tmp_path, monkeypatch):
    debian = tmp_path / "15" / "bin"
    debian.mkdir(parents=True)
    shutil.copy(shutil.which("true"), debian / "pg_dump")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(postgresql, "DEBIAN", tmp_path)
    assert Path(postgresql.find_program("pg_dump")) == debian / "pg_dump"


@on_postgres
def test_error_message_of_pg_dump_is_shown(databases, programs, tmp_path):
    replace_program(programs, "pg_dump", 'exec "$real" --no-such-option')
    message = refusal(databases.filled, tmp_path / "mailboxes.backup")
    assert "no-such-option" in message
