"""Database connections: timeouts, locks, and what is done when one has died."""

import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial

from django.conf import settings
from django.db import (
    InterfaceError,
    NotSupportedError,
    OperationalError,
    connections,
    transaction,
)

UNAVAILABLE = (OperationalError, InterfaceError)  # how Django says that a database does not answer


def run_with_reconnect(connection, read: Callable):
    """What `read` returns. Raises django.db.Error.

    A connection that has died since its last call is replaced: this is read again on a new one,
    so nobody has to ask beforehand whether it still lives. One that gives no answer has not died:
    whoever has waited for it does not wait once more. Nor is one used for longer than CONN_MAX_AGE.
    """
    if is_expired(connection):
        connection.close()
    connection.health_check_done = True
    is_new = connection.connection is None
    try:
        return read()
    except UNAVAILABLE:
        if is_new or connection.in_atomic_block or not is_closed(connection):
            raise
        connection.close()
        return read()


def is_expired(connection) -> bool:
    """Whether its time is over. Django looks only before the requests that it answers."""
    until = connection.close_at
    return until is not None and time.monotonic() >= until and not connection.in_atomic_block


def is_closed(connection) -> bool:
    """Whether the other side has ended it, as psycopg knows; a file's does not."""
    return getattr(connection.connection, "closed", False)


def skip_if_locked(using: str = "default"):
    """For a write that may be lost: see `limit_lock_wait`."""
    return limit_lock_wait(0, using)


@contextmanager
def limit_lock_wait(seconds: int, using: str = "default"):
    """Wait so long for anybody's lock, and on PostgreSQL not at all for the disk or a standby.

    Raises OperationalError where somebody else holds what it needs; then nothing is written.
    """
    connection = connections[using]
    milliseconds = seconds * 1000
    if connection.vendor == "postgresql":
        lock_timeout = milliseconds or 1  # 0 would be no limit
        with transaction.atomic(using), connection.cursor() as cursor:
            cursor.execute(
                f"SET LOCAL lock_timeout = {lock_timeout}; SET LOCAL synchronous_commit = off"
            )
            yield
    else:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            (before,) = cursor.fetchone()
            cursor.execute(f"PRAGMA busy_timeout = {milliseconds}")
            try:
                yield
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {before}")


PRIMARY, REPLICA = "default", "replica"

REPLICA_TIMEOUT = 2  # seconds: the primary can be asked instead

# The other way round than in the settings: PostgreSQL asks after us, and a transaction that our
# host left behind when it lost its power keeps rows locked for seconds, not for two hours.
KEEPALIVES = (
    "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 5"
)

# An account's rows lie anywhere among those of all. What fits the memory, or a disk without moving
# parts, is read there as fast as in a row: without this, PostgreSQL reads the whole of a table of
# some ten thousand rows rather than look up a hundred.
# Nor are queries compiled to machine code, which takes longer than any of ours does.
PLANS = "SET random_page_cost = 1.1; SET jit = off"

# Days are written by the database for callers, as the contract has them, whatever its own style.
DAYS = "SET datestyle = ISO"


def set_timeouts(sender, connection, **kwargs):
    """Give up on an answer that has not come within DATABASE_TIMEOUT: an OperationalError, and a new connection.

    TCP finds a host that has vanished, but not a PostgreSQL that stands still: its disk hangs, or
    its commits wait for a standby that is gone.
    """
    if connection.vendor == "postgresql":
        timeout = REPLICA_TIMEOUT if connection.alias == REPLICA else settings.DATABASE_TIMEOUT
        # psycopg has no setting for how long a client waits for an answer, and PostgreSQL's own
        # timeouts do not run while it stands still. Every query waits in Connection.wait, which
        # takes a timeout; tests/db/test_queries.py fails if that changes.
        driver = connection.connection
        driver.wait = partial(driver.wait, timeout=timeout)
        # A little sooner, PostgreSQL gives up itself: what waits for a lock would be written all
        # the same once it has it, though the caller was told that it was not. Foreign keys are
        # looked at after the statement's time is over, so locks have their own.
        soon = timeout * 900  # milliseconds
        giving_up = f"SET statement_timeout = {soon}; SET lock_timeout = {soon}"
        with connection.cursor() as cursor:
            cursor.execute(f"{KEEPALIVES}; {PLANS}; {DAYS}; {giving_up}")


def retry_stale_plans(sender, connection, **kwargs):
    """Let no query fail because a table has changed since it was prepared."""
    if connection.vendor == "postgresql" and run_again_if_stale not in connection.execute_wrappers:
        connection.execute_wrappers.append(run_again_if_stale)


def run_again_if_stale(execute, sql, params, many, context):
    """Run a query again if the types of its columns are others than when it was prepared.

    PostgreSQL refuses it for good, on each connection that has prepared it. Within a transaction
    nothing more can be run: that raises an OperationalError, for the caller to try again.
    """
    try:
        return execute(sql, params, many, context)
    except NotSupportedError as error:
        if not is_stale_plan(error.__cause__):
            raise
        connection = context["connection"]
        if connection.in_atomic_block:  # rolled back, psycopg forgets what it has prepared
            raise OperationalError("A table has changed.") from error
        connection.connection.execute("DEALLOCATE ALL")
        return execute(sql, params, many, context)


def is_stale_plan(error) -> bool:
    """Whether it says "cached plan must not change result type", in whatever language (plancache.c)."""
    return error.diag.source_function == "RevalidateCachedQuery"


def describe_failure(error: Exception) -> str:
    """The database that DATABASE_URL names, without its password, and why it cannot be used, in a line."""
    database = settings.DATABASES["default"]
    name = str(database["NAME"])
    if host := database["HOST"]:
        name = f"{name} on {host}, port {database['PORT'] or 5432},"
    return f"The database {name} cannot be used: {str(error).splitlines()[0]}."
