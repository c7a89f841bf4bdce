"""Serve with the production server, in the foreground."""

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
from mailboxes.temporary_folders import temporary_folder

log = logging.getLogger("mailboxes")

# Settings of the C library (mallopt(3)): memory of long lists is returned to the system, not kept
# by each thread.
MEMORY = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(1024 * 1024)}

MAX_OPEN_FILES = 8192  # of a process, including connections


class Command(BaseCommand):
    help = "Serve with the production server, in the foreground. Ctrl-C stops it."
    requires_system_checks = ()  # they check the code, so `make check` runs them, not each start

    def add_arguments(self, parser):
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=port_number, default=8000, help="port to listen on")

    def handle(self, *args, host, port, **options):
        listener = listen(host, port)
        if not (settings.STATIC_ROOT / "staticfiles.json").exists():
            raise CommandError("The static files are missing: run manage.py collectstatic first.")
        prepare_metrics(settings.BASE_DIR / "var" / f"metrics-{port}")
        with temporary_folder(settings.TEMP_DIR):
            pass  # each worker needs one: an error now has a message, and stops the start
        log_start(host, port)
        raise_file_limit()
        os.environ |= MEMORY | os.environ  # for the worker processes
        connections.close_all()
        LineWriter.start()
        server.serve(listener, settings.WORKERS)
        LineWriter.stop()


def port_number(text) -> int:
    """Parse a port, 1 to 65535. Raises ArgumentTypeError."""
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise ArgumentTypeError(f"{text} is not a port: choose one from 1 to 65535.")


def log_start(host, port):
    proxies = ", ".join(map(str, settings.TRUSTED_PROXIES)) or "none"
    https = "required" if settings.HTTPS else "not required"
    log.info(
        "Process %s starts on %s, port %s. HTTPS: %s. Trusted proxies: %s.",
        os.getpid(),  # stays the same: the server's first process replaces this one
        host,
        port,
        https,
        proxies,
    )
    if settings.HTTPS and not settings.TRUSTED_PROXIES:
        log.warning(
            "Every API call will be refused (403): HTTPS is required, but no proxy is trusted to "
            "report it. Set TRUSTED_PROXIES, or HTTPS=off."
        )


def prepare_metrics(folder):
    """Empty the folder of the workers' metrics: METRICS_DIR, or else this one."""
    folder = Path(settings.METRICS_DIR or folder)
    # For prometheus-client in the worker processes. A reload may turn metrics on.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    if settings.METRICS_NETWORKS:  # an error now has a message, and stops the start
        folder.mkdir(parents=True, exist_ok=True)
    for old_counts in folder.glob("*.db"):
        old_counts.unlink()


def listen(host, port) -> socket.socket:
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


def raise_file_limit():
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, MAX_OPEN_FILES), hard))
