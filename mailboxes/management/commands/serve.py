"""Serves with the production server, in the foreground."""

import errno
import logging
import os
import resource
import socket
from argparse import ArgumentTypeError
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from config import server
from mailboxes.monitoring.logs import LineWriter

log = logging.getLogger("mailboxes")

# Of the C library (mallopt(3)): what long lists have taken is given back to the machine, rather than
# kept for later ones by each thread.
MEMORY = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(1024 * 1024)}

MOST_FILES = 8192  # open at once in a process, connections among them


class Command(BaseCommand):
    help = "Serve with the production server, in the foreground. Ctrl-C stops it."
    requires_system_checks = ()  # of the code, not of this start: `make check` has made them

    def add_arguments(self, parser):
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=port_number, default=8000, help="port to listen on")

    def handle(self, *args, host, port, **options):
        listener = listen(host, port)
        if not (settings.STATIC_ROOT / "staticfiles.json").exists():
            raise CommandError("Style sheets are not in place: run manage.py collectstatic first.")
        if settings.METRICS_NETWORKS:
            make_room_for_metrics(settings.BASE_DIR / "var" / f"metrics-{port}")
        tell_start(host, port)
        allow_many_connections()
        os.environ |= MEMORY | os.environ  # read by the worker processes as they start
        connections.close_all()
        LineWriter.start()
        server.serve(listener, settings.WORKERS)
        LineWriter.stop()


def port_number(text) -> int:
    """A port, 1 to 65535. Raises ArgumentTypeError."""
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise ArgumentTypeError(f"{text} is no port: choose one from 1 to 65535.")


def tell_start(host, port):
    """Say in the log where calls are taken, and by whose word on HTTPS."""
    proxies = ", ".join(map(str, settings.TRUSTED_PROXIES)) or "none"
    https = "required" if settings.HTTPS else "not required"
    log.info(
        "Process %s starts on %s, port %s. HTTPS: %s. Trusted proxies: %s.",
        os.getpid(),  # the server's first process too: it takes this one's place
        host,
        port,
        https,
        proxies,
    )
    if settings.HTTPS and not settings.TRUSTED_PROXIES:
        log.warning(
            "Every API call will be refused (403): no proxy is trusted to say it came by HTTPS."
        )


def make_room_for_metrics(folder):
    """Let the worker processes count in one folder, empty at first: this one, or METRICS_DIR."""
    folder = Path(settings.METRICS_DIR or folder)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(
        folder
    )  # prometheus-client in the workers reads it
    folder.mkdir(parents=True, exist_ok=True)
    for counted_before in folder.glob("*.db"):
        counted_before.unlink()


def listen(host, port) -> socket.socket:
    """Return a socket that listens there. Raises CommandError."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"Port {port} is in use: stop the program that uses it, or choose another port "
                f"(make run PORT={port + 1}, or serve --port {port + 1})."
            ) from None
        raise CommandError(f"Cannot listen on {host}, port {port}: {error.strerror}.") from None


def allow_many_connections():
    """Raise the limit of open files to what the system allows this process."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, MOST_FILES), hard))
