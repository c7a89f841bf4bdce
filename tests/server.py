"""The real server, started for a test as `make run` starts it, and stopped after it."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.postgres import free_port

ROOT = Path(__file__).resolve().parent.parent


class Server:
    """`with Server(database_url) as server:` the service, answering on `server.port`."""

    def __init__(self, database_url, **environment):
        self.port = free_port()
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": database_url,
            **environment,
        }

    def __enter__(self):
        command = [sys.executable, "manage.py", "serve", "--port", str(self.port)]
        # A file: a pipe that nobody reads fills up, and the server waits.
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self.wait_until_up()
        return self

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)
        self.log.close()

    def output(self) -> str:
        """All that it has printed so far."""
        self.log.seek(0)
        return self.log.read()

    def wait_until_up(self, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2)
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        self.process.kill()
        self.process.wait()
        raise RuntimeError(f"The server did not come up:\n{self.output()}")
