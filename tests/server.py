"""The real server, started like `make run` does."""

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


def process_environment(url, **more) -> dict:
    """Return the environment for a process of the service on the database of the URL."""
    values = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": url, **more}
    return {name: value for name, value in values.items() if value is not None}


def until(condition):
    """Call until the result is true, and return it. Raise AssertionError after a minute."""
    deadline = time.monotonic() + 60
    while not (result := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return result


def read_log(file) -> str:
    """Return the text of a file that another process writes to through the same descriptor.

    They share one position, so `seek` and `read` would make it write over what is there.
    """
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


class Server:
    """Context manager: the service, answering on `port`."""

    def __init__(self, database_url, **environment):
        self.port = free_port()
        self.environment = process_environment(database_url, **environment)

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
        """Kill the server and its workers at once, like a power cut."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def manage(self, *arguments) -> str:
        """Run a management command on the server's database, and return its output."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def output(self) -> str:
        """Return the log so far."""
        time.sleep(LOG_SECONDS)
        return read_log(self.log)

    def wait_until_up(self, seconds=60):
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


class PreparedServer(Server):
    """Run the server on an empty database, which gets its tables and an account's credential.

    `headers` are the headers of the credential.
    """

    def __enter__(self):
        from tests.databases import prepare  # needs Django, which screenshots.py does not set up

        self.headers = prepare(self.environment["DATABASE_URL"])
        return super().__enter__()


def workers(server) -> set[int]:
    """Return the ids of the server's worker processes."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children if is_worker(child)}


def is_worker(pid) -> bool:
    with suppress(OSError):  # the process has ended meanwhile
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def reload(server, command=None) -> None:
    """Reload the server with SIGHUP or a shell command, and wait for its new workers."""
    before = workers(server)
    if command:
        subprocess.run(command, shell=True, check=True)
    else:
        server.process.send_signal(signal.SIGHUP)
    until(lambda: len(workers(server) - before) == len(before) and not workers(server) & before)
