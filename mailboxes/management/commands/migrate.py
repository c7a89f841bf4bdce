"""Django's `migrate`, which on PostgreSQL lets callers wait for no lock that it waits for itself."""

from contextlib import contextmanager
from time import sleep

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import LockNotAvailable

PAUSES = 4  # between two tries callers have the tables to themselves, so many times as long


class Command(migrate.Command):
    help = f"{migrate.Command.help} The service may run meanwhile."

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout",
            type=float,
            default=1,
            metavar="SECONDS",
            help="on PostgreSQL, how long it waits for a table, and callers behind it (default: 1)",
        )
        parser.add_argument(
            "--tries", type=int, default=60, help="how often it asks for a table (default: 60)"
        )

    def handle(self, *args, lock_timeout, tries, **options):
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        # Whoever asks for a table after us waits behind us, as long as we wait for whoever uses
        # it. So we give up soon: what was begun is undone, and what was applied stays.
        for left in reversed(range(tries)):
            try:
                with limited(connection, lock_timeout):
                    super().handle(*args, **options)
                return
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
            if not left:
                break
            self.stderr.write(f"A table is in use. Trying again, {left} times at most.")
            sleep(PAUSES * lock_timeout)
        raise CommandError(
            "A table stayed in use: let what runs long (a backup, an import) end, and run this again. "
            "What was applied so far stays."
        )


@contextmanager
def limited(connection, seconds):
    """A statement that has waited so long for a lock fails."""
    limit = f"SET lock_timeout = {seconds * 1000:.0f}"

    def run(execute, sql, params, many, context):
        if "CONCURRENTLY" not in sql:
            return execute(sql, params, many, context)
        # Nobody waits behind it, and if it failed, half an index would stay.
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
