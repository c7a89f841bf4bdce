"""Record in the database that this process runs, and the key it encrypts with."""

import logging
import os
import socket
from contextlib import suppress
from datetime import timedelta
from threading import Event, Thread
from time import monotonic
from uuid import uuid4

from django.conf import settings
from django.db import Error, connection
from django.db.models.functions import Now

from mailboxes.db.connections import limit_lock_wait
from mailboxes.models import ServerProcess

log = logging.getLogger("mailboxes")

# A psycopg connection that finds no free file descriptor raises OSError.
FAILURES = (Error, OSError)
WARN_AFTER = 3  # failures in a row: on SQLite, another writer may hold the lock for seconds


class Heartbeat:
    """Keep this process's row of ServerProcess up to date, from `start` to `stop`.

    Only a background thread uses the database, so that neither method waits longer than
    MAX_WAIT. Call both in the process that answers requests: a thread does not survive a fork.
    """

    INTERVAL = 60  # seconds
    RETRY = 1  # seconds, after a failure: short, since `rotate_pass_codes` relies on the rows
    LOCK_WAIT = 2  # seconds: on a busy SQLite, attempts that do not wait fail again and again
    MAX_WAIT = 5  # seconds
    RUNS_TASKS = False

    def start(self) -> None:
        """Write the row, and refresh it in the background. Return even if the database is down."""
        self.uuid, self.started = uuid4(), monotonic()
        self.written, self.stopped = Event(), Event()
        self.thread = Thread(target=self.run, name="heartbeat", daemon=True)
        self.thread.start()
        self.written.wait(self.MAX_WAIT)

    def stop(self) -> None:
        """Delete the row. Call it after the last request: then nothing is encrypted any more."""
        self.stopped.set()
        self.thread.join(self.MAX_WAIT)

    def run(self) -> None:
        failures = 0
        while not self.stopped.is_set():
            try:
                self.write()
            except FAILURES as error:
                failures += 1
                if failures == WARN_AFTER:
                    log.warning(
                        "The database does not record that this process runs: %s. "
                        "The service tries again every second.",
                        str(error).partition("\n")[0],
                    )
            else:
                failures = 0
                self.written.set()
            self.stopped.wait(self.RETRY if failures else self.INTERVAL)
        with suppress(*FAILURES):  # a row that stays expires after minutes
            self.delete()

    def write(self) -> None:
        """Create or refresh the row, which the restore of a backup may have removed."""
        try:
            with limit_lock_wait(self.LOCK_WAIT):
                ServerProcess.objects.update_or_create(
                    pk=self.uuid,
                    defaults={"seen_at": Now()},
                    create_defaults={
                        "host": socket.gethostname(),
                        "pid": os.getpid(),
                        "key": settings.PASS_CODE_KEYS.current,
                        "runs_tasks": self.RUNS_TASKS,
                        # The first attempt may have been long ago.
                        "started_at": Now() - timedelta(seconds=monotonic() - self.started),
                    },
                )
        finally:
            connection.close()

    def delete(self) -> None:
        try:
            ServerProcess.objects.filter(pk=self.uuid).delete()
        finally:
            connection.close()
