"""Restore the database and the recordings from a file that `backup` wrote."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection

from mailboxes.backups.archive import restore
from mailboxes.backups.checksums import recordings_query
from mailboxes.backups.recordings import describe_missing, find_missing
from mailboxes.checks import has_all_migrations
from mailboxes.models import ServerProcess


class Command(BaseCommand):
    help = (
        "Restore the database and the recordings from a backup: all of it, or nothing. "
        "Stop the service first."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "file", metavar="FILE", type=Path, help="a file that the command backup wrote"
        )
        parser.add_argument(
            "--replace",
            action="store_true",
            help="delete all data that the database has now (otherwise it must be empty)",
        )
        parser.add_argument(
            "--without-keys",
            action="store_true",
            help="restore even if some pass codes cannot be decrypted with PASS_CODE_KEYS",
        )

        parser.add_argument(
            "--force",
            action="store_true",
            help="restore even if processes of the service seem to run",
        )

    def handle(self, *args, file, replace, without_keys, force, **options) -> str:
        if not force and (processes := list_running()):
            raise CommandError(
                f"The service runs on this database:\n{processes}\n"
                "Stop it first. A process that was killed is listed for up to three minutes; "
                "if none runs, add --force."
            )
        try:
            manifest = restore(connection, file, replace, without_keys)
        except OSError as error:
            raise CommandError(f"{file} cannot be restored: {error.strerror}.") from None
        message = f"Restored {file} of {manifest.made_at}, and verified: {manifest}."
        if missing := find_lost_recordings(manifest.tables):
            self.stderr.write(describe_missing(missing))
        if not has_all_migrations():
            message += "\nAn older version of this service made it: run manage.py migrate now."
        return message


def find_lost_recordings(tables) -> list[str]:
    """Return the names of recordings that messages have and the store has not."""
    with connection.cursor() as cursor:
        cursor.execute(recordings_query(tables))
        names = {name for (name,) in cursor.fetchall()}
    return sorted(find_missing(names)) if names else []


def list_running() -> str:
    try:
        return "\n".join(f"  {process}" for process in ServerProcess.objects.alive())
    except Error:  # no such table: the database is empty, or of an older version
        return ""
