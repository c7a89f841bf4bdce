"""Run tasks, in the foreground: transcriptions, mails and webhooks."""

import os
import sys
from argparse import ArgumentTypeError
from threading import Thread

from django.core.management.base import BaseCommand

from mailboxes.delivery.jobs import QUEUES
from mailboxes.delivery.worker import Worker


class Command(BaseCommand):
    help = "Run tasks (transcriptions, mails, webhooks) in the foreground. Ctrl-C stops it."
    requires_system_checks = ()  # they check the code, so `make check` runs them, not each start

    def add_arguments(self, parser):
        parser.add_argument(
            "--queues",
            type=parse_queues,
            default=QUEUES,
            metavar="QUEUE,QUEUE",
            help=f"run the tasks of these queues only (default: {','.join(QUEUES)})",
        )
        parser.add_argument(
            "--until-eof",
            action="store_true",
            help="stop when the standard input ends, as it does when the process at its other end dies",
        )

    def handle(self, *args, queues, until_eof, **options):
        worker = Worker(queues)
        if until_eof:
            Thread(target=stop_at_eof, args=[worker], daemon=True).start()
        worker.run()


def stop_at_eof(worker):
    # Python could not end while another thread waits in sys.stdin.read.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    worker.stop()


def parse_queues(text) -> list[str]:
    """Parse names of queues, with commas between them. Raises ArgumentTypeError."""
    queues = text.split(",")
    for queue in queues:
        if queue not in QUEUES:
            raise ArgumentTypeError(f"{queue!r} is not a queue: choose from {', '.join(QUEUES)}.")
    return queues
