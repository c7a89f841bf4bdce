"""A process that only records that it is running, like each process of the server."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.server import ROOT, process_environment, until

PROGRAM = """
import sys
import django
django.setup()
from mailboxes.monitoring.heartbeat import Heartbeat

heartbeat = Heartbeat()
heartbeat.INTERVAL = float(sys.argv[1])
heartbeat.start()
print("started", flush=True)
sys.stdin.read()
heartbeat.stop()
"""


class RunningProcess:
    """Context manager: a process that is stopped at the end."""

    def __init__(self, database_url, interval=60, **environment):
        self.command = [sys.executable, "-c", PROGRAM, str(interval)]
        self.environment = process_environment(database_url, **environment)

    def __enter__(self):
        self.log = tempfile.NamedTemporaryFile()
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        until(lambda: "started" in self.output())
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.returncode = self.process.wait(timeout=60)
        self.final_output = self.output()
        self.log.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self):
        """Kill the process, like a power cut."""
        self.process.kill()
        self.process.wait()

    def output(self) -> str:
        return Path(self.log.name).read_text()
