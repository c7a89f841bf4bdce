"""Restores the database from a file that `backup` made."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from mailboxes.backups.archive import restore
from mailboxes.backups.figures import BackupError
from mailboxes.health import what_is_missing


class Command(BaseCommand):
    help = "Restore the database from a backup, all of it or nothing. Stop the service first."

    def add_arguments(self, parser):
        parser.add_argument("file", metavar="FILE", type=Path, help="what the command backup wrote")
        parser.add_argument(
            "--replace",
            action="store_true",
            help="lose all that the database holds now (otherwise it must be empty)",
        )

    def handle(self, *args, file, replace, **options) -> str:
        try:
            manifest = restore(connection, file, replace)
        except BackupError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{file} cannot be restored: {error.strerror}.") from None
        done = f"Restored {file}, of {manifest.made_at}, read back and compared: {manifest}."
        if what_is_missing():
            done += "\nIt is of an older version of this service: run manage.py migrate now."
        return done
