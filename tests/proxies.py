"""Proxies and poolers around the service, run on the sample configuration in docs."""

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

from tests import requirements
from tests.postgres import USER, as_nobody, free_port
from tests.server import ROOT, until


class Proxy:
    """`with` it, the program listens on `port`; `here` says what stands on this machine in the sample's places."""

    name: str  # the program's, and its package's in Debian
    sample: str  # in docs
    arguments: tuple = ()

    def __enter__(self):
        program = shutil.which(self.name, path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            requirements.missing(self.name, f"{self.name} is not on this machine.")
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"mailboxes-{self.name}-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")  # who runs it
        configuration = self.folder / Path(self.sample).name
        configuration.write_text(self.filled_in())
        command = [*as_nobody(), program, *self.arguments, configuration]
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        until(self.listens)
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)

    def here(self) -> dict:
        """This machine's addresses and files, by the sample's."""
        raise NotImplementedError

    def filled_in(self) -> str:
        text = (ROOT / "docs" / self.sample).read_text()
        for there, here in self.here().items():
            assert text.count(there) == 1, there
            text = text.replace(there, here)
        return text

    def listens(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with closing(socket.socket()) as caller:
            return caller.connect_ex(("127.0.0.1", self.port)) == 0


class PgBouncer(Proxy):
    """Before a PostgreSQL, with so few connections to it that its callers share them."""

    name = "pgbouncer"
    sample = "scaling/pgbouncer.ini"
    password = "correct horse"

    def __init__(self, postgres, connections):
        self.postgres, self.connections = postgres, connections

    def here(self):
        users = self.folder / "userlist.txt"
        users.write_text(f'"{USER}" "{self.password}"\n')
        return {
            "mailboxes = host=10.0.0.20 port=5432": f"* = host=127.0.0.1 port={self.postgres.port}",
            "listen_addr = 10.0.0.10": "listen_addr = 127.0.0.1",
            "listen_port = 6432": f"listen_port = {self.port}",
            "/etc/pgbouncer/userlist.txt": str(users),
            "default_pool_size = 20": f"default_pool_size = {self.connections}",
        }

    def url(self, database) -> str:
        user = f"{USER}:{self.password.replace(' ', '%20')}"
        return f"postgres://{user}@127.0.0.1:{self.port}/{database}"


class HAProxy(Proxy):
    """Before servers of this machine; without TLS, and it says that there was."""

    name = "haproxy"
    sample = "scaling/haproxy.cfg"
    arguments = ("-db", "-f")

    def __init__(self, servers):
        self.servers = servers

    def here(self):
        places = {
            f"10.0.0.{number}:8000": f"127.0.0.1:{server.port}"
            for number, server in enumerate(self.servers, start=11)
        }
        tls = "bind :443 ssl crt /etc/haproxy/mailboxes.pem alpn h2,http/1.1"
        return places | {tls: f"bind 127.0.0.1:{self.port}"}


class Nginx(Proxy):
    """In front of the first of these servers; without TLS, and it says that there was."""

    name = "nginx"
    sample = "nginx/mailboxes.conf"

    def __init__(self, servers):
        self.server = servers[0]

    @property
    def arguments(self):
        main = f"daemon off; pid {self.folder}/pid; error_log {self.folder}/errors;"
        return ("-p", self.folder, "-g", main, "-c")

    def here(self):
        return {
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port};",
            "    ssl_certificate /etc/nginx/mailboxes.pem;\n": "",
            "    ssl_certificate_key /etc/nginx/mailboxes.key;\n": "",
            "http://127.0.0.1:8000": f"http://127.0.0.1:{self.server.port}",
            "$scheme": "https",
        }

    def filled_in(self):
        folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = " ".join(f"{name}_temp_path {self.folder}/{name};" for name in folders)
        return f"events {{}} http {{ access_log off; {paths} {super().filled_in()} }}"
