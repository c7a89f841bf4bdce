"""Temporary files: removed after a kill, kept while in use, read by nobody else."""

import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import closing, suppress

import pytest

from mailboxes.models import Import
from mailboxes.temporary_folders import PREFIX, temporary_folder
from tests.conftest import database_url
from tests.security.browser import Browser, create_superuser
from tests.server import ROOT, Server, reload, until, workers

HOLD_FOLDER = """
import sys
from pathlib import Path
from mailboxes.temporary_folders import temporary_folder

with temporary_folder(Path(sys.argv[1])) as folder:
    (folder / "pass-codes.csv").write_text("8305")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that has a file in a temporary folder."""
    command = [sys.executable, "-c", HOLD_FOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        yield process


def test_folder_of_a_killed_process_is_removed(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert len(list(tmp_path.rglob("pass-codes.csv"))) == 1
    with temporary_folder(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_folder_of_a_running_process_is_kept(holder, tmp_path):
    with temporary_folder(tmp_path):
        assert len(list(tmp_path.rglob("pass-codes.csv"))) == 1
    holder.communicate()
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_can_read_the_folder(tmp_path):
    with temporary_folder(tmp_path) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_files_and_links_of_others_are_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / f"{PREFIX}file").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "mine")
    with temporary_folder(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {
        "mine",
        f"{PREFIX}file",
        f"{PREFIX}link",
    }


# --- At the real server ---------------------------------------------------------------------------

FILE = "account,name,password\n" + f"acme,{'x' * 50},8305\n" * 60_000  # too long for memory


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "tmp"


@pytest.fixture
def server(folder, db):
    with Server(database_url(), TEMP_DIR=str(folder), WEB_CONCURRENCY="1") as server:
        yield server


class Upload(threading.Thread):
    """Upload FILE; `statuses` gets the answer's status."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.browser = Browser(server.port, scheme="http")
        self.browser.sign_in()
        self.statuses = []

    def run(self):
        with closing(self.browser.connection), suppress(OSError):  # the worker may be killed
            self.statuses.append(self.browser.upload("/import/", FILE).status)


def list_uploads(folder) -> list:
    return list(folder.rglob("*.upload*"))


@pytest.fixture
def upload(server, folder, transactional_db):
    """An upload whose file is in the folder."""
    create_superuser("rosa")
    upload = Upload(server)
    upload.start()
    until(lambda: list_uploads(folder))
    return upload


@pytest.mark.django_db(transaction=True)
def test_upload_of_a_killed_worker_is_removed_by_the_next(server, folder, upload):
    [worker] = workers(server)
    os.kill(worker, signal.SIGKILL)
    assert len(list_uploads(folder)) == 1
    until(lambda: workers(server) - {worker} and not list_uploads(folder))


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_upload_survives_a_reload_and_the_start_of_another_server(server, folder, upload):
    with temporary_folder(folder):  # like another server on the folder
        assert len(list_uploads(folder)) == 1
    reload(server)
    upload.join()
    assert upload.statuses == [302]
    assert Import.objects.exists()
    until(lambda: len(list(folder.iterdir())) == 1)
