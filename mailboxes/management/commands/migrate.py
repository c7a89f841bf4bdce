"""Django's `migrate`: on PostgreSQL it blocks no caller while it waits for a lock."""

from contextlib import contextmanager
from time import sleep

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import LockNotAvailable

PAUSE_RATIO = 4  # the pause between two tries, in lock timeouts


class Command(migrate.Command):
    help = f"{migrate.Command.help} The service may run meanwhile."

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout",
            type=float,
            default=1,
            metavar="SECONDS",
            help="on PostgreSQL, the time to wait for a table, which blocks callers (default: 1)",
        )
        parser.add_argument(
            "--tries", type=int, default=60, help="the number of tries to get a table (default: 60)"
        )

    def handle(self, *args, lock_timeout, tries, **options):
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        # While we wait for a table that is in use, all later callers wait behind us. So we give up
        # soon: the unfinished migration is rolled back, and finished ones stay.
        for left in reversed(range(tries)):
            try:
                with set_lock_timeout(connection, lock_timeout):
                    super().handle(*args, **options)
                return
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
            if not left:
                break
            self.stderr.write(f"A table is in use. Trying again, at most {left} times.")
            sleep(PAUSE_RATIO * lock_timeout)
        raise CommandError(
            "A table stayed in use: wait until a long backup or import ends, and run this again. "
            "The migrations that were applied stay applied."
        )


@contextmanager
def set_lock_timeout(connection, seconds):
    """Make SQL fail that waits longer for a lock, unless it builds an index concurrently."""
    limit = f"SET lock_timeout = {seconds * 1000:.0f}"

    def run(execute, sql, params, many, context):
        if "CONCURRENTLY" not in sql:
            return execute(sql, params, many, context)
        # It blocks no callers, and a failure would leave an invalid index.
        execute("SET lock_timeout = 0", None, False, context)
        try:
            return execute(sql, params, many, context)
        finally:
            execute(limit, None, False, context)

    with connection.cursor() as cursor:
        cursor.execute(limit)
    try:
        with connection.execute_wrapper(run):
            yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
