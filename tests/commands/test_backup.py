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
    """What the command says when it refuses."""
    with default_database(url), pytest.raises(CommandError) as refused:
        call_command("backup", *map(str, arguments))
    return str(refused.value)


def contents(backup, folder):
    """All that the backup's dump holds, as text, read by the database's own tool and not by ours."""
    (name,) = {"database.sqlite3", "database.dump"} & set(ZipFile(backup).namelist())
    dump = ZipFile(backup).extract(name, folder)
    if name == "database.sqlite3":
        copy = sqlite3.connect(dump)
        text = "\n".join(copy.iterdump())
        copy.close()
        return text
    command = [postgresql.find("pg_restore"), "--file=-", dump]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder whose programs are found before all others."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def instead(programs, name, script):
    """Put a shell script in the place of a program; in it, $real is that program."""
    real = postgresql.find(name)
    program = programs / name
    program.write_text(f"#!/bin/sh\nreal='{real}'\n{script}\n")
    program.chmod(0o755)


def test_it_says_what_it_did(databases, tmp_path, capsys):
    backup = tmp_path / "mailboxes.backup"
    with default_database(databases.copy()):
        call_command("backup", str(backup))
    said = capsys.readouterr().out
    assert f"Backed up to {backup}, read back and compared: " in said
    assert "keep PASS_CODE_KEYS elsewhere" in said


def test_only_its_owner_may_read_it_and_nothing_else_is_left(databases, tmp_path):
    backup = tmp_path / "mailboxes.backup"
    with default_database(databases.copy()):
        call_command("backup", str(backup))
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [backup]


def test_it_opens_without_this_service_and_has_no_pass_code_in_clear(databases, tmp_path):
    backup = tmp_path / "mailboxes.backup"
    with default_database(databases.copy()):
        call_command("backup", str(backup))
    text = contents(backup, tmp_path)
    assert "pete7@acme.example" in text
    in_clear = shows(text, PASS_CODE)
    assert not in_clear


def test_an_existing_file_is_left_alone(databases, tmp_path):
    backup = tmp_path / "mailboxes.backup"
    backup.write_text("mine")
    assert refusal(databases.filled, backup) == (
        f"{backup} exists already: choose another name, or add --force to write over it."
    )
    assert backup.read_text() == "mine"


def test_force_writes_over_it(databases, tmp_path):
    backup = tmp_path / "mailboxes.backup"
    backup.write_text("mine")
    with default_database(databases.copy()):
        call_command("backup", str(backup), "--force")
    assert "manifest.json" in ZipFile(backup).namelist()


def test_no_such_folder(databases, tmp_path):
    backup = tmp_path / "nowhere" / "mailboxes.backup"
    assert refusal(databases.filled, backup) == (
        f"{backup} cannot be written: No such file or directory."
    )


@on_sqlite
def test_no_such_database(databases, tmp_path):
    said = refusal(f"sqlite:///{tmp_path}/none.sqlite3", tmp_path / "mailboxes.backup")
    assert said == "SQLite cannot use none.sqlite3: unable to open database file."
    assert list(tmp_path.iterdir()) == []


@on_sqlite
def test_a_damaged_database_makes_no_backup(databases, tmp_path):
    """An index that leaves rows out is copied as it is: only reading back finds it."""
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
    assert "SQLite finds the file damaged" in refusal(url, backup, "--force")
    assert backup.read_text() == "yesterday's"
    assert list(tmp_path.iterdir()) == [backup]


@on_postgres
def test_rows_that_are_missing_from_the_dump_are_noticed(databases, programs, tmp_path):
    instead(programs, "pg_dump", 'exec "$real" --exclude-table-data=mailboxes_account "$@"')
    backup = tmp_path / "mailboxes.backup"
    said = refusal(databases.filled, backup)
    assert said.endswith("does not hold what its manifest says (in mailboxes_account).")
    assert list(tmp_path.iterdir()) == [programs]


@on_postgres
def test_a_file_that_comes_meanwhile_is_left_alone(databases, programs, tmp_path):
    backup = tmp_path / "mailboxes.backup"
    instead(programs, "pg_dump", f'echo mine > "{backup}"; exec "$real" "$@"')
    assert refusal(databases.filled, backup) == f"{backup} cannot be written: File exists."
    assert backup.read_text() == "mine\n"


@on_postgres
def test_the_password_is_no_argument(databases, programs, tmp_path):
    """Everybody on the machine sees the arguments of a program that runs."""
    instead(
        programs,
        "pg_dump",
        f'echo "$@" > "{tmp_path}/arguments"; test "$PGPASSWORD" = open-sesame && exec "$real" "$@"',
    )
    url = databases.filled.replace("@", ":open-sesame@")
    with default_database(url):
        call_command("backup", str(tmp_path / "mailboxes.backup"))
    arguments = (tmp_path / "arguments").read_text()
    assert "--snapshot=" in arguments
    given_away = "open-sesame" in arguments
    assert not given_away


@on_postgres
def test_of_several_hosts_the_one_in_use_is_backed_up(databases, tmp_path):
    host = f"127.0.0.1:{databases.postgres.port}"
    url = databases.filled.replace(host, f"127.0.0.1:1,{host}")
    backup = tmp_path / "mailboxes.backup"
    with default_database(f"{url}?target_session_attrs=read-write"):
        call_command("backup", str(backup))
    assert "pete7@acme.example" in contents(backup, tmp_path)


@on_postgres
def test_without_the_programs(databases, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgresql, "DEBIAN", tmp_path)
    assert refusal(databases.filled, tmp_path / "mailboxes.backup") == (
        "pg_dump is not on this machine: install PostgreSQL's client programs."
    )


def test_debian_s_programs_are_found_off_the_path(tmp_path, monkeypatch):
    debian = tmp_path / "15" / "bin"
    debian.mkdir(parents=True)
    shutil.copy(shutil.which("true"), debian / "pg_dump")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(postgresql, "DEBIAN", tmp_path)
    assert Path(postgresql.find("pg_dump")) == debian / "pg_dump"


@on_postgres
def test_the_program_s_own_words_are_told(databases, programs, tmp_path):
    instead(programs, "pg_dump", 'exec "$real" --no-such-option')
    said = refusal(databases.filled, tmp_path / "mailboxes.backup")
    assert "no-such-option" in said
