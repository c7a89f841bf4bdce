"""A private PostgreSQL on the loopback, removed at the end.

`python -m tests.postgres COMMAND …` runs COMMAND with DATABASE_URL set to one.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

import psycopg

from tests.requirements import postgres_programs

USER = "mailboxes"


def free_port() -> int:
    """Return an unused port outside the system's range for outgoing connections."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)  # tests may seed `random`
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port


def drop_root_rights() -> list[str]:
    """Return a prefix that runs a command as nobody, if the tests run as root."""
    setpriv = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    return setpriv if os.geteuid() == 0 else []


class PrivatePostgres:
    """Context manager: a running PostgreSQL that only these tests use."""

    host = "127.0.0.1"
    prefix: tuple = ()  # prefix of its commands
    fsync = "off"  # the data need not survive a power cut

    def __init__(self, programs: Path):
        self.programs = programs
        self.port = free_port()

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mailboxes-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")  # PostgreSQL refuses to run as root
        self.create_data()
        self.start()
        return self

    def __exit__(self, *error):
        with suppress(subprocess.CalledProcessError):  # a test may have killed it
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def create_data(self):
        """Create new, empty data."""
        self.run_program(
            "initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"
        )

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database="postgres") -> str:
        return f"postgres://{USER}@{self.host}:{self.port}/{database}"

    def create(self, database, template="template1") -> str:
        """Create a database, empty or a copy of the template, and return its URL."""
        here = ["-h", self.host, "-p", str(self.port), "-U", USER]
        self.run_program("createdb", *here, "-T", template, database)
        return self.url(database)

    def start(self):
        listens = f"-p {self.port} -c listen_addresses={self.host} -k ''"
        options = f"{listens} -c fsync={self.fsync}"
        self.run_program(
            "pg_ctl", "start", "-w", "-D", self.data, "-l", self.folder / "log", "-o", options
        )

    def kill(self):
        """Kill all its processes at once, like a power cut."""
        self.send_signal(signal.SIGKILL)
        # The killed process remains as a zombie, so a new server would think that it still runs.
        (self.data / "postmaster.pid").unlink()

    def processes(self) -> list[int]:
        """Return the ids of the main process and its children."""
        postmaster = (self.data / "postmaster.pid").read_text().split()[0]
        backends = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [int(process) for process in (postmaster, *backends)]

    def suspend(self):
        """Suspend all its processes, like a hanging disk: the kernel still accepts packets."""
        self.send_signal(signal.SIGSTOP)

    def resume(self):
        self.send_signal(signal.SIGCONT)

    def send_signal(self, number):
        """Send the signal to all its processes."""
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def stop(self, mode="fast"):
        """Stop at once, and drop all connections."""
        self.run_program("pg_ctl", "stop", "-w", "-m", mode, "-D", self.data)

    @contextmanager
    def stopped(self):
        """Stop, and start again at the end, for the tests that use it later."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def run_program(self, program, *arguments):
        command = [*self.prefix, *drop_root_rights(), self.programs / program, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


class DurablePostgres(PrivatePostgres):
    """A server that may be killed: it writes durably, like in production."""

    fsync = "on"


class DistantPostgres(DurablePostgres):
    """A server in its own network namespace, which can become unreachable. Needs root."""

    def __init__(self, programs: Path):
        super().__init__(programs)
        self.name = f"mailboxes{os.getpid()}"
        # A network of four addresses in the range for benchmarks: RFC 2544, appendix C.2.2.
        network = ip_address("198.18.0.0") + 4 * (os.getpid() % 2**15)
        self.here, self.host = f"{network + 1}", f"{network + 2}"
        self.prefix = ("nsenter", f"--net=/run/netns/{self.name}")

    def __enter__(self):
        self.ip("netns", "add", self.name)
        self.ip("link", "add", self.name, "type", "veth", "peer", "eth0", "netns", self.name)
        self.ip("address", "add", f"{self.here}/30", "dev", self.name)
        self.ip("link", "set", self.name, "up")
        self.ip_there("address", "add", f"{self.host}/30", "dev", "eth0")
        self.ip_there("link", "set", "eth0", "up")
        self.ip_there("link", "set", "lo", "up")
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.ip("netns", "delete", self.name)

    def create_data(self):
        super().create_data()
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")

    def disconnect(self):
        """Drop all packets to it, without a refusal."""
        self.ip_there("route", "add", "blackhole", self.here)

    def reconnect(self):
        self.ip_there("route", "delete", "blackhole", self.here)

    @staticmethod
    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True)

    def ip_there(self, *arguments):
        self.ip("-netns", self.name, *arguments)


class Standby(DurablePostgres):
    """A synchronous standby of another server."""

    synchronous_names = "*"  # commits of the primary wait for these standbys

    def __init__(self, primary: PrivatePostgres):
        super().__init__(primary.programs)
        self.primary = primary

    def __enter__(self):
        super().__enter__()
        with psycopg.connect(self.primary.url(), autocommit=True) as connection:
            connection.execute(
                f"ALTER SYSTEM SET synchronous_standby_names = '{self.synchronous_names}'"
            )
            connection.execute("SELECT pg_reload_conf()")
        return self

    def create_data(self):
        """Copy the data of the primary."""
        self.run_program(
            "pg_basebackup", "-d", self.primary.url(), "-D", self.data, "-R", "-c", "fast"
        )

    def promote(self):
        """Make the standby the new primary."""
        self.run_program("pg_ctl", "promote", "-w", "-D", self.data)


if __name__ == "__main__":
    programs = postgres_programs()
    if programs is None:
        sys.exit("PostgreSQL's programs (initdb, pg_ctl) are not on this machine.")
    with PrivatePostgres(programs) as postgres:
        environment = os.environ | {"DATABASE_URL": postgres.url()}
        sys.exit(subprocess.run(sys.argv[1:], env=environment).returncode)
