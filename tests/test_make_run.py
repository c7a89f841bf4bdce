"""`make run` on a clean copy, as a newcomer runs it: first start, second start, what can go wrong."""

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
from tests.server import until

# The environment that runs the tests serves the copy too; -o: it is not built anew.
VENV = Path(sys.prefix)
MAKE = ["make", f"VENV={VENV}", "-o", f"{VENV}/run.stamp"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return clone(tmp_path_factory.mktemp("clone") / "mailboxes")


class Run:
    """`with Run(copy, port) as run:` the service by `make run`; `run.said` is what it printed."""

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
        assert self.process.poll() is None, self.said
        if "Application startup complete" not in self.said:
            return False  # who answers on that port is somebody else
        with suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2)

    @property
    def said(self):
        self.log.seek(0)
        return self.log.read()

    @property
    def logged(self):
        """Without what is told to a newcomer alone."""
        return re.findall("^.+ mailboxes.+$", self.said, re.MULTILINE)

    def interrupt(self):
        """Ctrl-C reaches every process of the terminal."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=60)

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.interrupt()
        self.log.close()


@pytest.mark.long
def test_first_start_second_start_and_ctrl_c(copy):
    with Run(copy, free_port()) as run:
        first = run.said
        curl = re.search("^curl .+$", first, re.MULTILINE)[0]
        answer = json.loads(run_script(curl, copy))
        assert answer["status_code"] == 200, (answer, run.logged)
        boxes = answer["result"]
        assert len(boxes) >= 15
        for page in ("/", "/admin/", "/docs/"):
            assert f"http://127.0.0.1:{run.port}{page}" in first
        documented = commands("README.md", "After the start").partition("\n")[0]
        assert json.loads(run_script(documented.replace(":8000", f":{run.port}"), copy)) == answer
        run_script(curl + f"/{boxes[0]['uuid']} -X DELETE", copy)
        said = run_script(commands("docs/api.md").replace(":8000", f":{run.port}"), copy).split(
            "\n"
        )
        answers = [json.loads(answer)["status_code"] for answer in said if answer]
        assert answers == [
            200,
            200,
            200,
            201,
            201,
            201,
            200,
            200,
            200,
            200,
            200,
            200,
            412,
            200,
            200,
            200,
        ]
        run.interrupt()
        assert "Traceback" not in run.said
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", run.port)) != 0

    for secret in (".env", "var/demo.curl"):
        assert (copy / secret).stat().st_mode & 0o077 == 0  # only its owner reads it
    keys = (copy / ".env").read_text()

    with Run(copy, free_port()) as again:
        curl = re.search("^curl .+$", again.said, re.MULTILINE)[0]
        assert (
            len(json.loads(run_script(curl, copy))["result"]) == len(boxes) + 2
        )  # two made, one deleted
        assert "Made" not in again.said
        logins = re.compile(r"^Staff login .+$|X-Auth-Password: \S+", re.MULTILINE)
        kept_logins = logins.findall(again.said) == logins.findall(first)
        kept_keys = (copy / ".env").read_text() == keys
        assert (kept_logins, kept_keys) == (True, True)


@pytest.mark.long
def test_a_taken_port_is_told_in_one_line(copy):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
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
        f"CommandError: Port {port} is taken: stop what listens there, or choose another port "
        f"(make run PORT={port + 1}, or serve --port {port + 1})."
    ]


@pytest.mark.parametrize("python", ["false", "no-such-python"])
def test_an_old_python_is_told_in_one_line(copy, python):
    command = ["make", "run", "VENV=new", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=copy, env=environment(), capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stdout == "Python 3.11 or later is needed, as in: make run PYTHON=python3.11\n"
    assert not (copy / "new").exists()
