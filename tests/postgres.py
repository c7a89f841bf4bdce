"""A private PostgreSQL on the loopback, gone when it is left.

python -m tests.postgres COMMAND …      runs COMMAND with DATABASE_URL naming one
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psycopg

from tests.parts import postgres_programs

USER = "mailboxes"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class PrivatePostgres:
    """`with PrivatePostgres(programs) as postgres:` a running server; `url(name)` names a database of it."""

    def __init__(self, programs: Path):
        self.programs = programs
        self.port = free_port()

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mailboxes-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")  # PostgreSQL refuses to run as root
        self.make()
        self.start()
        return self

    def __exit__(self, *error):
        with suppress(subprocess.CalledProcessError):  # it may have been killed
            self.stop("immediate")  # nothing of it is wanted any more
        shutil.rmtree(self.folder)

    def make(self):
        """Its data, new and empty."""
        self.run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database="postgres") -> str:
        return f"postgres://{USER}@127.0.0.1:{self.port}/{database}"

    def create(self, database, template="template1") -> str:
        """A new database's URL: an empty one, or a copy of the one that the template names."""
        here = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER]
        self.run("createdb", *here, "-T", template, database)
        return self.url(database)

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k ''"
        self.run("pg_ctl", "start", "-w", "-D", self.data, "-l", self.folder / "log", "-o", options)

    def kill(self):
        """End it as a power cut does: no process of it has a last word."""
        lock = self.data / "postmaster.pid"
        postmaster = lock.read_text().split()[0]
        backends = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for process in [postmaster, *backends]:
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        # Until somebody has buried it, it looks alive to the next that would start.
        lock.unlink()

    def stop(self, mode="fast"):
        """Stop at once, dropping whoever is connected."""
        self.run("pg_ctl", "stop", "-w", "-m", mode, "-D", self.data)

    def run(self, program, *arguments):
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        command = [*(as_nobody if os.geteuid() == 0 else []), self.programs / program, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


class Standby(PrivatePostgres):
    """A copy of another that follows it, each commit there waiting for it, until it is promoted."""

    def __init__(self, primary: PrivatePostgres):
        super().__init__(primary.programs)
        self.primary = primary

    def __enter__(self):
        super().__enter__()
        with psycopg.connect(self.primary.url(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        return self

    def make(self):
        """The primary's data as they are now."""
        self.run("pg_basebackup", "-d", self.primary.url(), "-D", self.data, "-R", "-c", "fast")

    def promote(self):
        """Make it the one that is written to."""
        self.run("pg_ctl", "promote", "-w", "-D", self.data)


if __name__ == "__main__":
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL's programs (initdb, pg_ctl) are not on this machine.")
    with PrivatePostgres(programs) as postgres:
        environment = os.environ | {"DATABASE_URL": postgres.url()}
        sys.exit(subprocess.run(sys.argv[1:], env=environment).returncode)
