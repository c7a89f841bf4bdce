"""What is asked of each connection to PostgreSQL: that no caller waits for ever, or meets a table of before; and who does not answer."""

from functools import partial

from django.conf import settings
from django.db import NotSupportedError, OperationalError

from mailboxes.replica import REPLICA

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


def bound(sender, connection, **kwargs):
    """Give up on an answer that has not come within DATABASE_TIMEOUT: an OperationalError, and a new connection.

    TCP finds a host that has vanished, but not a PostgreSQL that stands still: its disk hangs, or
    its commits wait for a standby that is gone.
    """
    if connection.vendor == "postgresql":
        timeout = REPLICA_TIMEOUT if connection.alias == REPLICA else settings.DATABASE_TIMEOUT
        # psycopg has no setting for how long a client waits for an answer, and PostgreSQL's own
        # timeouts do not run while it stands still. Every query waits in Connection.wait, which
        # takes a timeout; tests/test_statements.py fails if that changes.
        driver = connection.connection
        driver.wait = partial(driver.wait, timeout=timeout)
        # A little sooner, PostgreSQL gives up itself: what waits for a lock would be written all
        # the same once it has it, though the caller was told that it was not. Foreign keys are
        # looked at after the statement's time is over, so locks have their own.
        soon = timeout * 900  # milliseconds
        giving_up = f"SET statement_timeout = {soon}; SET lock_timeout = {soon}"
        with connection.cursor() as cursor:
            cursor.execute(f"{KEEPALIVES}; {PLANS}; {DAYS}; {giving_up}")


def keep_up(sender, connection, **kwargs):
    """Let no query fail because a table has changed since it was prepared."""
    if connection.vendor == "postgresql" and prepared_anew not in connection.execute_wrappers:
        connection.execute_wrappers.append(prepared_anew)


def prepared_anew(execute, sql, params, many, context):
    """Run a query again if the types of its columns are others than when it was prepared.

    PostgreSQL refuses it for good, on each connection that has prepared it. Within a transaction
    nothing more can be run: that raises an OperationalError, for the caller to try again.
    """
    try:
        return execute(sql, params, many, context)
    except NotSupportedError as error:
        if not is_prepared_for_another(error.__cause__):
            raise
        connection = context["connection"]
        if connection.in_atomic_block:  # rolled back, psycopg forgets what it has prepared
            raise OperationalError("A table has changed.") from error
        connection.connection.execute("DEALLOCATE ALL")
        return execute(sql, params, many, context)


def is_prepared_for_another(error) -> bool:
    """Whether it says "cached plan must not change result type", in whatever language (plancache.c)."""
    return error.diag.source_function == "RevalidateCachedQuery"


def in_words(error: Exception) -> str:
    """The database that DATABASE_URL names, without its password, and why it cannot be used, in a line."""
    database = settings.DATABASES["default"]
    name = str(database["NAME"])
    if host := database["HOST"]:
        name = f"{name} on {host}, port {database['PORT'] or 5432},"
    return f"The database {name} cannot be used: {str(error).splitlines()[0]}."
