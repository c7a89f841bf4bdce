"""A function that workers call regularly, for tests: it writes the process's id to a file."""

import os

from mailboxes.delivery.jobs import every
from tests.delivery.tasks import write


@every(0.1)
def tick():
    if path := os.environ.get("TICKS"):
        write(path, os.getpid())
