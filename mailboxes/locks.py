"""What is not worth waiting for."""

from contextlib import contextmanager

from django.db import connections, transaction


@contextmanager
def without_waiting(using: str = "default"):
    """For a write that may be lost: it waits for nobody's lock, and on PostgreSQL not for the disk either, or a standby.

    Raises OperationalError where somebody else holds what it needs; then nothing is written.
    """
    connection = connections[using]
    if connection.vendor == "postgresql":
        with transaction.atomic(using), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '1ms'; SET LOCAL synchronous_commit = off")
            yield
    else:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            (milliseconds,) = cursor.fetchone()
            cursor.execute("PRAGMA busy_timeout = 0")
            try:
                yield
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {milliseconds}")
