"""What the server asks of each connection to PostgreSQL, so that no caller waits for ever."""

from functools import partial

from django.conf import settings

# The other way round than in the settings: PostgreSQL asks after us, and a transaction that our
# host left behind when it lost its power keeps rows locked for seconds, not for two hours.
KEEPALIVES = (
    "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 5"
)


def bound(sender, connection, **kwargs):
    """Give up on an answer that has not come within DATABASE_TIMEOUT: an OperationalError, and a new connection.

    TCP finds a host that has vanished, but not a PostgreSQL that stands still: its disk hangs, or
    its commits wait for a standby that is gone.
    """
    if connection.vendor == "postgresql":
        psycopg = connection.connection
        psycopg.wait = partial(psycopg.wait, timeout=settings.DATABASE_TIMEOUT)
        with connection.cursor() as cursor:
            cursor.execute(KEEPALIVES)
