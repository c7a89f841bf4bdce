"""Reads from a streaming replica that has everything the primary had when a call came.

PostgreSQL writes each change to its log (WAL) before it confirms the change, and a replica replays
that log. Each call reads its credential on the primary, and with it the end of the log. A replica
that has replayed the log up to there has every write that was answered before the call.
"""

import logging
import time
from collections.abc import Callable
from functools import wraps

from django.db import connections, models

from mailboxes.db.connections import PRIMARY, REPLICA, UNAVAILABLE, run_with_reconnect

PAUSE_SECONDS = 10  # without a read from the replica after it has failed

log = logging.getLogger(__name__)
paused_until = 0.0  # 0 while the replica answers


class Router:
    """Django's database router: write to the primary only; rows of both may be related."""

    def db_for_write(self, model, **hints):
        return PRIMARY

    def allow_relation(self, one, other, **hints):
        return True

    def allow_migrate(self, db, app_label, **hints):
        return db == PRIMARY


class WalPosition(models.Expression):
    """The end of the primary's WAL on disk, or null if there is no replica.

    Everything that the query could see is before it, unless `synchronous_commit` is off.
    """

    output_field = models.TextField()

    def as_sql(self, compiler, connection):
        return ("pg_current_wal_flush_lsn()" if REPLICA in connections.settings else "NULL"), ()


def reads_from_replica(command):
    """Decorate a view's read-only method: `self.using` is the replica, or else the primary."""

    @wraps(command)
    def run(view, request, *args, **kwargs):
        def read(using):
            view.using = using
            return command(view, request, *args, **kwargs)

        return read_with_fallback(request.auth.wal_position, read)

    return run


def read_with_fallback(wal_position: str | None, read: Callable):
    """Return `read(REPLICA)`, or `read(PRIMARY)` if the replica is behind or does not answer."""
    try:
        if is_caught_up(wal_position):
            return read(REPLICA)
    except UNAVAILABLE:
        pause_replica()
    return read(PRIMARY)


def is_caught_up(wal_position: str | None) -> bool:
    """Return True if a replica has replayed the WAL up to this position.

    Raises OperationalError or InterfaceError if the replica does not answer.
    """
    global paused_until
    if wal_position is None or time.monotonic() < paused_until:
        return False
    if paused_until:
        paused_until = time.monotonic() + PAUSE_SECONDS  # only this call tries again
    connection = connections[REPLICA]

    def compare_positions():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [wal_position])
            return cursor.fetchone()[0]

    # A query sees what was replayed when it began, so this one must run before those that read.
    is_replayed = run_with_reconnect(connection, compare_positions)
    paused_until = 0.0
    return is_replayed is True


def pause_replica() -> None:
    """Use only the primary for a while, so that not every call waits for a timeout."""
    global paused_until
    paused_until = time.monotonic() + PAUSE_SECONDS
    connections[REPLICA].close()
    log.warning(
        "The replica does not answer. The primary serves its reads for %s seconds.", PAUSE_SECONDS
    )
