"""Database connections: timeouts, locks and reconnection."""

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

UNAVAILABLE = (OperationalError, InterfaceError)  # raised if a database does not answer


def run_with_reconnect(connection, read: Callable):
    """Return the result of `read`, called again on a new connection if the old one was closed.

    So no query is needed to check the connection beforehand. After a timeout `read` is not called
    again, so that nobody waits twice. Raises django.db.Error.
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
    """Return True if CONN_MAX_AGE is over. Django checks that only between its own requests."""
    until = connection.close_at
    return until is not None and time.monotonic() >= until and not connection.in_atomic_block


def is_closed(connection) -> bool:
    return getattr(connection.connection, "closed", False)


def fail_if_locked(using: str = "default", durable: bool = False):
    """Let a best-effort write fail instead of waiting for a lock: see `limit_lock_wait`."""
    return limit_lock_wait(0, using, durable)


@contextmanager
def limit_lock_wait(seconds: int, using: str = "default", durable: bool = False):
    """Limit the block's wait for locks.

    Unless the write must be durable, PostgreSQL does not wait for the disk or a standby either.
    Raises OperationalError, and writes nothing, if the time is over.
    """
    connection = connections[using]
    milliseconds = seconds * 1000
    if connection.vendor == "postgresql":
        lock_timeout = milliseconds or 1  # 0 means no limit
        with transaction.atomic(using), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {lock_timeout}")
            if not durable:
                cursor.execute("SET LOCAL synchronous_commit = off")
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

REPLICA_TIMEOUT = 2  # seconds: the primary can answer instead

# PostgreSQL probes this host. If the host loses its power, its transactions keep rows locked for
# seconds, not for two hours.
KEEPALIVES = (
    "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 5"
)

# An account's rows are scattered over the table. In memory or on an SSD, random reads are as fast as
# sequential ones: without this setting, PostgreSQL scans a table of ten thousand rows to find a
# hundred. JIT compilation takes longer than any of our queries.
PLANNER = "SET random_page_cost = 1.1; SET jit = off"

# The database writes dates of API answers (mailboxes.db.json), whatever its default style is.
DATE_STYLE = "SET datestyle = ISO"


def set_timeouts(sender, connection, **kwargs):
    """Make queries raise OperationalError after DATABASE_TIMEOUT, and close the connection.

    TCP detects a host that is gone, but not a PostgreSQL that hangs: because of its disk, or
    because a commit waits for a lost standby.
    """
    if connection.vendor == "postgresql":
        timeout = REPLICA_TIMEOUT if connection.alias == REPLICA else settings.DATABASE_TIMEOUT
        # psycopg has no setting for this timeout, and PostgreSQL's own timeouts do not run while it
        # hangs. Every query waits in Connection.wait, which has a timeout parameter;
        # tests/db/test_queries.py fails if that changes.
        driver = connection.connection
        driver.wait = partial(driver.wait, timeout=timeout)
        # PostgreSQL must give up a little earlier. Otherwise a write that waits for a lock would be
        # done after the client got an error. Foreign keys are checked after the statement's
        # timeout has ended, so locks need a timeout of their own.
        earlier = timeout * 900  # milliseconds
        timeouts = f"SET statement_timeout = {earlier}; SET lock_timeout = {earlier}"
        with connection.cursor() as cursor:
            cursor.execute(f"{KEEPALIVES}; {PLANNER}; {DATE_STYLE}; {timeouts}")


def retry_stale_plans(sender, connection, **kwargs):
    """Retry prepared queries whose tables a migration has changed."""
    if connection.vendor == "postgresql" and retry_if_stale not in connection.execute_wrappers:
        connection.execute_wrappers.append(retry_if_stale)


def retry_if_stale(execute, sql, params, many, context):
    """Prepare and run a query again if the types of its columns have changed.

    PostgreSQL refuses the old prepared query forever, on each connection. Raises OperationalError
    in a transaction, which has failed and must be repeated as a whole.
    """
    try:
        return execute(sql, params, many, context)
    except NotSupportedError as error:
        if not is_stale_plan(error.__cause__):
            raise
        connection = context["connection"]
        if connection.in_atomic_block:  # after the rollback, psycopg prepares queries again
            raise OperationalError("A table has changed: repeat the transaction.") from error
        connection.connection.execute("DEALLOCATE ALL")
        return execute(sql, params, many, context)


def is_stale_plan(error) -> bool:
    """Return True for PostgreSQL's "cached plan must not change result type", in any language."""
    return error.diag.source_function == "RevalidateCachedQuery"


def describe_failure(error: Exception) -> str:
    """Return one line with the database in DATABASE_URL, without its password, and the error."""
    database = settings.DATABASES["default"]
    name = str(database["NAME"])
    if host := database["HOST"]:
        name = f"{name} on {host}, port {database['PORT'] or 5432},"
    return f"The database {name} cannot be used: {str(error).splitlines()[0]}."
