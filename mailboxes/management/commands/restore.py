"""Restore the database from a file that `backup` wrote."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from mailboxes.backups.archive import restore
from mailboxes.monitoring.health import find_failure


class Command(BaseCommand):
    help = "Restore the database from a backup: all of it, or nothing. Stop the service first."

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

    def handle(self, *args, file, replace, without_keys, **options) -> str:
        try:
            manifest = restore(connection, file, replace, without_keys)
        except OSError as error:
            raise CommandError(f"{file} cannot be restored: {error.strerror}.") from None
        message = f"Restored {file} of {manifest.made_at}, and verified: {manifest}."
        if find_failure():
            message += "\nAn older version of this service made it: run manage.py migrate now."
        return message
