"""Back up the database into a file."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from mailboxes.backups.archive import back_up


class Command(BaseCommand):
    help = "Back up the database into a file, and verify it. The service may run."

    def add_arguments(self, parser):
        parser.add_argument("file", metavar="FILE", type=Path, help="the backup to write")
        parser.add_argument("--force", action="store_true", help="overwrite an existing file")

    def handle(self, *args, file, force, **options) -> str:
        try:
            manifest = back_up(connection, file, force)
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}.") from None
        return (
            f"Backed up to {file}, and verified: {manifest}.\n"
            "Its pass codes are encrypted: keep PASS_CODE_KEYS elsewhere. "
            "Without these keys, the pass codes cannot be recovered."
        )
