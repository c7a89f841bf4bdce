"""The real server, started for a test as `make run` starts it, and stopped after it."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from tests.postgres import free_port

ROOT = Path(__file__).resolve().parent.parent
LOG_SECONDS = 0.1  # the server writes its log lines up to 0.05 s late


def on_database(url, **more) -> dict:
    """The environment of a process of the service's own, on the database that the URL names."""
    named = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": url, **more}
    return {name: value for name, value in named.items() if value is not None}


def until(true):
    """Wait for it. Raises AssertionError after a minute."""
    deadline = time.monotonic() + 60
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


class Server:
    """`with Server(database_url) as server:` the service, answering on `server.port`."""

    def __init__(self, database_url, **environment):
        self.port = free_port()
        self.environment = on_database(database_url, **environment)

    def __enter__(self):
        self.log = tempfile.TemporaryFile("w+")
        self.start()
        return self

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)
        self.log.close()

    def command(self) -> list[str]:
        return [sys.executable, "manage.py", "serve", "--port", str(self.port)]

    def start(self):
        self.process = subprocess.Popen(
            self.command(),
            cwd=ROOT,
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.wait_until_up()

    def kill(self):
        """End it as a power cut does, its workers with it: no process has a last word."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def manage(self, *arguments) -> str:
        """What a management command prints that runs on this server's database."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def prepare(self) -> dict:
        """Make the tables, and an account with a credential: its three headers."""
        from tests.databases import prepare  # needs Django, which the pictures do without

        return prepare(self.environment["DATABASE_URL"])

    def output(self) -> str:
        """All that it has printed so far."""
        time.sleep(LOG_SECONDS)
        log = self.log.fileno()
        # At its own place in the file: where the server writes on is not moved.
        return os.pread(log, os.fstat(log).st_size, 0).decode()

    def wait_until_up(self, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2)
                return
            except OSError:
                time.sleep(0.05)
        self.process.kill()
        self.process.wait()
        raise RuntimeError(f"The server did not come up:\n{self.output()}")


def workers(server) -> set[int]:
    """Return the numbers of the server's worker processes."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children if is_worker(child)}


def is_worker(pid) -> bool:
    with suppress(OSError):  # it has ended meanwhile
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def reload(server, command=None) -> None:
    """Reload the server with SIGHUP, or with a shell's command, and wait until that is done."""
    before = workers(server)
    if command:
        subprocess.run(command, shell=True, check=True)
    else:
        server.process.send_signal(signal.SIGHUP)
    until(lambda: len(workers(server) - before) == len(before) and not workers(server) & before)
