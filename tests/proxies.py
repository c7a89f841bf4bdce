"""Proxies and poolers, run with the sample configuration in docs."""

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

from tests import requirements
from tests.postgres import USER, drop_root_rights, free_port
from tests.server import ROOT, until


class Proxy:
    """Context manager: a running proxy or pooler, which listens on `port`."""

    name: str  # of the program and of its Debian package
    sample: str  # path in docs
    arguments: tuple = ()

    def __enter__(self):
        program = shutil.which(self.name, path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            requirements.skip_or_fail(self.name, f"{self.name} is not on this machine.")
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"mailboxes-{self.name}-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")
        configuration = self.folder / Path(self.sample).name
        configuration.write_text(self.fill_in_sample())
        command = [*drop_root_rights(), program, *self.arguments, configuration]
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        until(self.is_listening)
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)

    def replacements(self) -> dict:
        """Return the replacements of the sample's addresses and files."""
        raise NotImplementedError

    def fill_in_sample(self) -> str:
        text = (ROOT / "docs" / self.sample).read_text()
        for sample, actual in self.replacements().items():
            assert text.count(sample) == 1, sample
            text = text.replace(sample, actual)
        return text

    def is_listening(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with closing(socket.socket()) as caller:
            return caller.connect_ex(("127.0.0.1", self.port)) == 0


class PgBouncer(Proxy):
    """A pooler whose callers share a few connections to PostgreSQL."""

    name = "pgbouncer"
    sample = "scaling/pgbouncer.ini"
    password = "correct horse"

    def __init__(self, postgres, connections):
        self.postgres, self.connections = postgres, connections

    def replacements(self):
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
    """A proxy without TLS that reports HTTPS to servers on this machine."""

    name = "haproxy"
    sample = "scaling/haproxy.cfg"
    arguments = ("-db", "-f")

    def __init__(self, servers):
        self.servers = servers

    def replacements(self):
        addresses = {
            f"10.0.0.{number}:8000": f"127.0.0.1:{server.port}"
            for number, server in enumerate(self.servers, start=11)
        }
        tls = "bind :443 ssl crt /etc/haproxy/mailboxes.pem alpn h2,http/1.1"
        return addresses | {tls: f"bind 127.0.0.1:{self.port}"}


class Nginx(Proxy):
    """A proxy without TLS that reports HTTPS to the first of the servers."""

    name = "nginx"
    sample = "nginx/mailboxes.conf"

    def __init__(self, servers):
        self.server = servers[0]

    @property
    def arguments(self):
        main = f"daemon off; pid {self.folder}/pid; error_log {self.folder}/errors;"
        return ("-p", self.folder, "-g", main, "-c")

    def replacements(self):
        return {
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port};",
            "    ssl_certificate /etc/nginx/mailboxes.pem;\n": "",
            "    ssl_certificate_key /etc/nginx/mailboxes.key;\n": "",
            "http://127.0.0.1:8000": f"http://127.0.0.1:{self.server.port}",
            "$scheme": "https",
        }

    def fill_in_sample(self):
        # A machine's nginx.conf may compress everything, which would make ETags weak.
        compress = "gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;"
        folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = " ".join(f"{name}_temp_path {self.folder}/{name};" for name in folders)
        return (
            f"events {{}} http {{ access_log off; {compress} {paths} {super().fill_in_sample()} }}"
        )


class NginxWithTLS(Nginx):
    """The sample as it is printed, on another port, with a certificate for localhost."""

    def replacements(self):
        self.certificate, key = self.folder / "mailboxes.pem", self.folder / "mailboxes.key"
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
        names = ("-addext", "subjectAltName=DNS:localhost")
        files = ("-out", self.certificate, "-keyout", key)
        subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
        if os.geteuid() == 0:
            shutil.chown(key, "nobody")
        return {
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "/etc/nginx/mailboxes.pem": str(self.certificate),
            "/etc/nginx/mailboxes.key": str(key),
            "http://127.0.0.1:8000": f"http://127.0.0.1:{self.server.port}",
        }
