"""Reading from a streaming replica, where it knows all that the primary knew when the call came.

PostgreSQL tells nobody of a change before it stands in the log of writes (WAL), and a replica
plays that log. Each call's credential is looked up on the primary, and with it how far the log
had come. A replica that has played as much knows of every write that was answered before the
call, by whichever process, whoever made it; one that has not is not asked.
"""

import logging
import time
from collections.abc import Callable
from functools import wraps

from django.db import connections, models

from mailboxes.db.connections import PRIMARY, REPLICA, UNAVAILABLE, run_with_reconnect

PAUSE_SECONDS = 10  # seconds that a replica is left alone after it has failed

log = logging.getLogger(__name__)
paused_until = 0.0  # 0 while it answers


class Router:
    """The replica holds the primary's rows: they belong together, whichever each was read from, and are written on one."""

    def db_for_write(self, model, **hints):
        return PRIMARY

    def allow_relation(self, one, other, **hints):
        return True

    def allow_migrate(self, db, app_label, **hints):
        return db == PRIMARY


class WalPosition(models.Expression):
    """In a query of the primary, how far its log is on disk; null where no replica plays it.

    By then it holds all that the query has seen committed, unless `synchronous_commit` is off.
    """

    output_field = models.TextField()

    def as_sql(self, compiler, connection):
        return ("pg_current_wal_flush_lsn()" if REPLICA in connections.settings else "NULL"), ()


def reads_from_replica(command):
    """A view's command that only reads, from `self.using`: the replica or, if that is behind or away, the primary."""

    @wraps(command)
    def run(view, request, *args, **kwargs):
        def answer(using):
            view.using = using
            return command(view, request, *args, **kwargs)

        return read_with_fallback(request.auth.wal_position, answer)

    return run


def read_with_fallback(wal_position: str | None, there: Callable):
    """What `there` returns, told whether to read from the replica or, if that is behind or away, the primary."""
    try:
        if is_caught_up(wal_position):
            return there(REPLICA)
    except UNAVAILABLE:
        pause_replica()
    return there(PRIMARY)


def is_caught_up(wal_position: str | None) -> bool:
    """Whether there is a replica which is as far as that. Raises OperationalError where it does not answer."""
    global paused_until
    if wal_position is None or time.monotonic() < paused_until:
        return False
    if paused_until:
        paused_until = time.monotonic() + PAUSE_SECONDS  # others go on while this call tries
    connection = connections[REPLICA]

    def ask():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [wal_position])
            return cursor.fetchone()[0]

    # A statement of its own, before those that read: each sees what was played when it began.
    is_as_far = run_with_reconnect(connection, ask)
    paused_until = 0.0
    return is_as_far is True


def pause_replica() -> None:
    """Ask the replica nothing for a while: each call would wait for it in vain."""
    global paused_until
    paused_until = time.monotonic() + PAUSE_SECONDS
    connections[REPLICA].close()
    log.warning("The replica does not answer: reads go to the primary for %s s.", PAUSE_SECONDS)
