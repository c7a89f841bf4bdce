"""A private PostgreSQL on the loopback, gone when it is left.

python -m tests.postgres COMMAND …      runs COMMAND with DATABASE_URL naming one
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

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
        self.run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()
        shutil.rmtree(self.folder)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database="postgres") -> str:
        return f"postgres://{USER}@127.0.0.1:{self.port}/{database}"

    def create(self, database) -> str:
        """A new, empty database's URL."""
        self.run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, database)
        return self.url(database)

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}"
        self.run("pg_ctl", "start", "-w", "-D", self.data, "-l", self.folder / "log", "-o", options)

    def stop(self):
        """Stop at once, dropping whoever is connected."""
        self.run("pg_ctl", "stop", "-w", "-m", "fast", "-D", self.data)

    def run(self, program, *arguments):
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        command = [*(as_nobody if os.geteuid() == 0 else []), self.programs / program, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


if __name__ == "__main__":
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL's programs (initdb, pg_ctl) are not on this machine.")
    with PrivatePostgres(programs) as postgres:
        environment = os.environ | {"DATABASE_URL": postgres.url()}
        sys.exit(subprocess.run(sys.argv[1:], env=environment).returncode)
