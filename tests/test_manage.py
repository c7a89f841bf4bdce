"""Errors of commands that the user can correct are one line, without a stack trace."""

import os
import signal
import subprocess
import sys

import pytest

from tests.postgres import free_port
from tests.server import ROOT, Server, process_environment, until

AWAY = "postgres://joe:s3cret@127.0.0.1:1/mailboxes"


# Without these capabilities, root can no longer read and write everything.
NO_RIGHTS = "-dac_override,-dac_read_search"
WITHOUT_RIGHTS = ["setpriv", f"--bounding-set={NO_RIGHTS}", f"--inh-caps={NO_RIGHTS}"]
AS_ORDINARY_USER = WITHOUT_RIGHTS if os.geteuid() == 0 else []


def manage(*arguments, url, prefix=(), **more):
    return subprocess.run(
        [*prefix, sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=process_environment(url, **more),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "command",
    [
        ["migrate"],
        ["createsuperuser", "--noinput", "--username=rosa", "--email="],
        ["purge_deleted"],
    ],
    ids=lambda command: command[0],
)
def test_unreachable_database_is_named_without_its_password(command):
    done = manage(*command, url=AWAY, DJANGO_SUPERUSER_PASSWORD="correct horse")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("The database mailboxes on 127.0.0.1, port 1, cannot be used: ")
    assert line.endswith("Connection refused.")
    assert "s3cret" not in done.stdout + done.stderr


def test_both_database_hosts_are_named():
    done = manage("migrate", url=AWAY.replace("1:1", "1:1,127.0.0.1:2"))
    assert "The database mailboxes on 127.0.0.1,127.0.0.1, port 1,2, cannot" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_traceback_option_prints_the_stack_trace():
    assert "Traceback" in manage("migrate", "--traceback", url=AWAY).stderr


def test_folder_that_cannot_be_made_is_named():
    done = manage("migrate", url="sqlite:////dev/null/data/mailboxes.sqlite3")
    assert done.stderr == (
        "DATABASE_URL names a file in the folder /dev/null/data, which cannot be created: "
        "Not a directory.\n"
    )
    assert done.returncode == 1


def test_temporary_folder_that_cannot_be_made_is_named():
    done = manage("check", url="sqlite://:memory:", TEMP_DIR="/dev/null/tmp")
    assert done.stderr == (
        "TEMP_DIR names the folder /dev/null/tmp, which cannot be created: Not a directory.\n"
    )


def test_unreadable_settings_file_is_named(tmp_path):
    settings = tmp_path / ".env"
    settings.touch(mode=0)
    done = manage("check", url="sqlite://:memory:", prefix=AS_ORDINARY_USER, ENV_FILE=str(settings))
    error = f"No permission to read {settings}: run this as the user who owns it.\n"
    assert (done.returncode, done.stderr) == (1, error)


def test_unwritable_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    folder = tmp_path / "figures"
    done = manage(
        *("serve", "--port", str(free_port())),
        url="sqlite://:memory:",
        prefix=AS_ORDINARY_USER,
        METRICS_NETWORKS="10.0.0.0/8",
        PROMETHEUS_MULTIPROC_DIR=str(folder),
    )
    error = f"No permission to use {folder}: run this as the user who owns it.\n"
    assert (done.returncode, done.stderr) == (1, error)


def read_modes(folder) -> dict[str, str]:
    """Return the octal permissions of each file and folder, by name."""
    return {path.name: f"{path.stat().st_mode & 0o777:o}" for path in folder.rglob("*")}


@pytest.mark.long
def test_files_can_be_read_by_their_owner_only(tmp_path):
    tmp_path.chmod(0o755)
    url = f"sqlite:///{tmp_path}/data.sqlite3"
    before = os.umask(0o022)
    try:
        manage("migrate", url=url)
        manage("backup", str(tmp_path / "data.backup"), url=url)
        with Server(url) as server:
            server.manage("issue_credential", "acme", "api", "--create-account")
            found = read_modes(tmp_path)
    finally:
        os.umask(before)
    assert found.keys() >= {"data.sqlite3", "data.backup"}
    assert set(found.values()) == {"600"}


@pytest.mark.long
def test_ctrl_c_ends_a_command_quietly_and_rolls_back(tmp_path):
    url = f"sqlite:///{tmp_path}/data.sqlite3"
    manage("migrate", url=url)
    process = subprocess.Popen(
        [sys.executable, "manage.py", "load_demo", "--mailboxes", "100000"],
        cwd=ROOT,
        env=process_environment(url, MAX_MAILBOXES_PER_ACCOUNT="100000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until((tmp_path / "data.sqlite3-wal").exists)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert manage("load_demo", "--accounts", "1", "--mailboxes", "1", url=url).returncode == 0
