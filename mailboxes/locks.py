"""Best-effort writes that give up instead of blocking."""

from contextlib import contextmanager

from django.db import connections, transaction


def without_waiting(using: str = "default"):
    """For a write that may be lost: see `waiting_at_most`."""
    return waiting_at_most(0, using)


@contextmanager
def waiting_at_most(seconds: int, using: str = "default"):
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
