"""A private PostgreSQL on the loopback, gone when it is left.

python -m tests.postgres COMMAND …      runs COMMAND with DATABASE_URL naming one
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import psycopg

from tests.requirements import postgres_programs

USER = "mailboxes"


def free_port() -> int:
    """One that nobody listens on; nor is it of those that the system hands out until it is listened on."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)  # not of `random`, which tests may seed alike
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port


def as_nobody() -> list[str]:
    """What starts a program that refuses to run as root, where one is root."""
    setpriv = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    return setpriv if os.geteuid() == 0 else []


class PrivatePostgres:
    """`with PrivatePostgres(programs) as postgres:` a running server; `url(name)` names a database of it."""

    host = "127.0.0.1"
    inside: tuple = ()  # what a program of it is started by
    fsync = "off"  # nothing of it need outlive the machine

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
        return f"postgres://{USER}@{self.host}:{self.port}/{database}"

    def create(self, database, template="template1") -> str:
        """A new database's URL: an empty one, or a copy of the one that the template names."""
        here = ["-h", self.host, "-p", str(self.port), "-U", USER]
        self.run("createdb", *here, "-T", template, database)
        return self.url(database)

    def start(self):
        listens = f"-p {self.port} -c listen_addresses={self.host} -k ''"
        options = f"{listens} -c fsync={self.fsync}"
        self.run("pg_ctl", "start", "-w", "-D", self.data, "-l", self.folder / "log", "-o", options)

    def kill(self):
        """End it as a power cut does: no process of it has a last word."""
        self.send(signal.SIGKILL)
        # Until somebody has buried it, it looks alive to the next that would start.
        (self.data / "postmaster.pid").unlink()

    def processes(self) -> list[int]:
        """The first process of it, and those that it has started."""
        postmaster = (self.data / "postmaster.pid").read_text().split()[0]
        backends = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [int(process) for process in (postmaster, *backends)]

    def stand_still(self):
        """Stop its clock, as when its disk hangs: the host's kernel still takes what is sent to it."""
        self.send(signal.SIGSTOP)

    def go_on(self):
        self.send(signal.SIGCONT)

    def send(self, number):
        """Send it to every process of it."""
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def stop(self, mode="fast"):
        """Stop at once, dropping whoever is connected."""
        self.run("pg_ctl", "stop", "-w", "-m", mode, "-D", self.data)

    def run(self, program, *arguments):
        command = [*self.inside, *as_nobody(), self.programs / program, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


class DurablePostgres(PrivatePostgres):
    """One that may be killed: it writes as in production."""

    fsync = "on"


class DistantPostgres(DurablePostgres):
    """On a host of its own, as far as the network can tell, which may vanish without a word. Needs root."""

    def __init__(self, programs: Path):
        super().__init__(programs)
        self.name = f"mailboxes{os.getpid()}"
        # One of the networks of four that are kept for trials: RFC 2544, appendix C.2.2.
        network = ip_address("198.18.0.0") + 4 * (os.getpid() % 2**15)
        self.here, self.host = f"{network + 1}", f"{network + 2}"
        self.inside = ("nsenter", f"--net=/run/netns/{self.name}")

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

    def make(self):
        super().make()
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")

    def vanish(self):
        """Nothing that is sent to it is answered any more, be it by a refusal."""
        self.ip_there("route", "add", "blackhole", self.here)

    def come_back(self):
        self.ip_there("route", "delete", "blackhole", self.here)

    @staticmethod
    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True)

    def ip_there(self, *arguments):
        self.ip("-netns", self.name, *arguments)


class Standby(DurablePostgres):
    """A copy of another that follows it, each commit there waiting for it, until it is promoted."""

    awaited = "*"  # by commits of the primary

    def __init__(self, primary: PrivatePostgres):
        super().__init__(primary.programs)
        self.primary = primary

    def __enter__(self):
        super().__enter__()
        with psycopg.connect(self.primary.url(), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{self.awaited}'")
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
