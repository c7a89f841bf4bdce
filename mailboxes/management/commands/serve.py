"""Serves with the production server, in the foreground."""

import os
import socket
import sys
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

# A worker runs Python on one core at a time; two threads each let one wait for the
# database while the other works. More made it slower (measured).
WORKERS = 2
THREADS = 2


class Command(BaseCommand):
    help = "Serve with the production server, in the foreground. Ctrl-C stops it."

    def add_arguments(self, parser):
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on")
        parser.add_argument("--workers", type=int, default=WORKERS, help="processes")

    def handle(self, *args, host, port, workers, **options):
        refuse_taken_port(host, port)
        granian = Path(sys.executable).parent / "granian"
        os.execv(  # noqa: S606  our own server's program, no shell wanted
            granian,
            [
                granian.name,
                "--interface=wsgi",
                f"--host={host}",
                f"--port={port}",
                f"--workers={workers}",
                f"--blocking-threads={THREADS}",
                # What is on its way is answered before the process goes.
                "--workers-kill-timeout=10",
                "--log-level=warning",
                "config.wsgi:application",
            ],
        )


def refuse_taken_port(host, port):
    """Raises CommandError if something else listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise CommandError(
                f"Port {port} is taken: stop what listens there, or choose another, as in "
                f"make run PORT={port + 1}"
            ) from None
