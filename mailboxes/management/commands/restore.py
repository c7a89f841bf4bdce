"""Restores the database from a file that `backup` made."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from mailboxes.backups.archive import restore
from mailboxes.monitoring.health import find_failure


class Command(BaseCommand):
    help = "Restore the database from a backup, all of it or nothing. Stop the service first."

    def add_arguments(self, parser):
        parser.add_argument("file", metavar="FILE", type=Path, help="what the command backup wrote")
        parser.add_argument(
            "--replace",
            action="store_true",
            help="lose all that the database holds now (otherwise it must be empty)",
        )
        parser.add_argument(
            "--without-keys",
            action="store_true",
            help="restore pass codes too that no key in PASS_CODE_KEYS opens",
        )

    def handle(self, *args, file, replace, without_keys, **options) -> str:
        try:
            manifest = restore(connection, file, replace, without_keys)
        except OSError as error:
            raise CommandError(f"{file} cannot be restored: {error.strerror}.") from None
        done = f"Restored {file}, of {manifest.made_at}, and verified: {manifest}."
        if find_failure():
            done += "\nIt is of an older version of this service: run manage.py migrate now."
        return done
