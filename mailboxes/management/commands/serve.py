"""Serves with the production server, in the foreground."""

import errno
import logging
import os
import select
import socket
import sys
from argparse import ArgumentTypeError
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

log = logging.getLogger("mailboxes")

# Of the C library (mallopt(3)): what long lists have taken is given back to the machine, rather than
# kept for later ones by each thread.
MEMORY = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(1024 * 1024)}


class Command(BaseCommand):
    help = "Serve with the production server, in the foreground. Ctrl-C stops it."
    requires_system_checks = ()  # of the code, not of this start: `make check` has made them

    def add_arguments(self, parser):
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=port_number, default=8000, help="port to listen on")

    def handle(self, *args, host, port, **options):
        if not hasattr(select, "epoll"):
            raise CommandError("The server needs Linux. To try the service elsewhere: make dev.")
        refuse_unusable(host, port)
        if not (settings.STATIC_ROOT / "staticfiles.json").exists():
            raise CommandError("Style sheets are not in place: run manage.py collectstatic first.")
        if settings.METRICS_NETWORKS:
            make_room_for_metrics(settings.BASE_DIR / "var" / f"metrics-{port}")
        tell_start(host, port)
        os.environ |= MEMORY | os.environ
        gunicorn = Path(sys.executable).parent / "gunicorn"
        os.execv(  # noqa: S606  our own server's program, no shell wanted
            gunicorn,
            [gunicorn.name, "--config=python:config.server", f"--bind=[{host}]:{port}"],
        )


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
    """Let the worker processes count in one folder, empty at first: this one, or PROMETHEUS_MULTIPROC_DIR."""
    folder = Path(os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(folder)))
    folder.mkdir(parents=True, exist_ok=True)
    for counted_before in folder.glob("*.db"):
        counted_before.unlink()


def refuse_unusable(host, port):
    """Raises CommandError if one cannot listen there."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address, family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"Port {port} is taken: stop what listens there, or choose another port "
                f"(make run PORT={port + 1}, or serve --port {port + 1})."
            ) from None
        raise CommandError(f"Cannot listen on {host}, port {port}: {error.strerror}.") from None
