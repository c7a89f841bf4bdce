"""`make run` on a clean copy of the project: first and second start, and errors."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clone import clone, environment, run_script
from tests.documents import commands
from tests.postgres import free_port
from tests.server import read_log, until

# The copy uses the environment of the tests; -o keeps make from building another.
VENV = Path(sys.prefix)
MAKE = ["make", f"VENV={VENV}", "-o", f"{VENV}/run.stamp"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return clone(tmp_path_factory.mktemp("clone") / "mailboxes")


class Run:
    """Context manager: the service, started by `make run`."""

    def __init__(self, copy, port):
        self.copy, self.port = copy, port

    def __enter__(self):
        self.log = (self.copy / "log").open("w+")
        self.process = subprocess.Popen(
            [*MAKE, "run", f"PORT={self.port}"],
            cwd=self.copy,
            env=environment(),
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        until(self.is_up)
        return self

    def is_up(self):
        assert self.process.poll() is None, self.output
        if "Application startup complete" not in self.output:
            return False  # another program may answer on the port
        with suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2)

    @property
    def output(self):
        return read_log(self.log)

    @property
    def log_lines(self):
        """Return the log lines, without the introduction for new users."""
        return re.findall("^.+ mailboxes.+$", self.output, re.MULTILINE)

    @property
    def worker(self):
        """The id of the newest worker process that has started; None without one."""
        ids = find_processes("manage.py work", self.copy)
        starts = re.findall(r"Task worker \S+ starts", self.output)
        return ids[-1] if ids and starts else None

    def interrupt(self):
        """Send SIGINT to the process group, like Ctrl-C in a terminal."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=60)

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.interrupt()
        self.log.close()


def find_processes(command, folder) -> list[int]:
    """Return the ids of the processes with this command line in the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if command in line and (process / "cwd").resolve() == folder:
                found.append(int(process.name))
    return sorted(found)


@pytest.mark.long
def test_first_start_prints_working_logins_and_second_start_keeps_them(copy):
    with Run(copy, free_port()) as run:
        first = run.output
        curl = re.search("^curl .+$", first, re.MULTILINE)[0]
        answer = json.loads(run_script(curl, copy))
        assert answer["status_code"] == 200, (answer, run.log_lines)
        boxes = answer["result"]
        assert len(boxes) >= 15
        for page in ("/", "/admin/", "/docs/"):
            assert f"http://127.0.0.1:{run.port}{page}" in first
        assert "Mails           are written to var/mail/" in first
        until(lambda: any((copy / "var/mail").iterdir()))
        documented = commands("README.md", "After the start").partition("\n")[0]
        assert json.loads(run_script(documented.replace(":8000", f":{run.port}"), copy)) == answer
        run_script(curl + f"/{boxes[0]['uuid']} -X DELETE", copy)
        printed = run_script(commands("docs/api.md").replace(":8000", f":{run.port}"), copy).split(
            "\n"
        )
        answers = [json.loads(answer)["status_code"] for answer in printed if answer]
        assert answers == [200] * 5 + [201] * 3 + [200] * 6 + [412] + [200] * 17
        run.interrupt()
        assert "Traceback" not in run.output
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", run.port)) != 0

    for secret_file in (".env", "var/demo.curl"):
        assert (copy / secret_file).stat().st_mode & 0o077 == 0  # only its owner can read it
    keys = (copy / ".env").read_text()

    with Run(copy, free_port()) as again:
        curl = re.search("^curl .+$", again.output, re.MULTILINE)[0]
        mailboxes = json.loads(run_script(curl, copy))["result"]
        assert len(mailboxes) == len(boxes) + 2  # one was deleted, and the tour made others
        assert "Made" not in again.output
        logins = re.compile(r"^Staff login .+$|X-Auth-Password: \S+", re.MULTILINE)
        same_logins = logins.findall(again.output) == logins.findall(first)
        same_keys = (copy / ".env").read_text() == keys
        assert (same_logins, same_keys) == (True, True)


@pytest.mark.long
def test_worker_runs_beside_the_server_and_is_started_again_if_it_is_killed(copy):
    with Run(copy, free_port()) as run:
        first = until(lambda: run.worker)
        os.kill(first, signal.SIGKILL)
        until(lambda: run.worker not in (None, first))
        until(lambda: run.output.count(" starts, for default, mail, speech, webhooks.") == 2)
        run.interrupt()
        assert "Traceback" not in run.output
        assert re.search(r"stops once its \d+ running tasks end", run.output)
    assert not find_processes("manage.py", copy)


@pytest.mark.long
def test_worker_and_server_end_when_their_parent_is_killed(copy):
    with Run(copy, free_port()) as run:
        until(lambda: run.worker)
        [parent] = find_processes("manage.py run", copy)
        os.kill(parent, signal.SIGKILL)
        until(lambda: not find_processes("manage.py", copy))


@pytest.mark.long
def test_port_in_use_is_reported_in_one_line(copy):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = subprocess.run(
            [*MAKE, "run", f"PORT={port}"],
            cwd=copy,
            env=environment(),
            capture_output=True,
            text=True,
        )
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert lines == [
        f"CommandError: Port {port} is in use: stop the program that uses it, or choose another port "
        f"(make run PORT={port + 1}, or serve --port {port + 1})."
    ]


@pytest.mark.parametrize("python", ["false", "no-such-python"])
def test_old_python_is_reported_in_one_line(copy, python):
    command = ["make", "run", "VENV=new", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=copy, env=environment(), capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stdout == "Python 3.11 or later is needed, as in: make run PYTHON=python3.11\n"
    assert not (copy / "new").exists()
