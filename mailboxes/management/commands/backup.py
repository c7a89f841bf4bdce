"""Back up the database and the recordings into a file."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from mailboxes.backups.archive import back_up
from mailboxes.backups.recordings import describe_missing


class Command(BaseCommand):
    help = (
        "Back up the database and the recordings into a file, and verify it. Recordings in a "
        "bucket are not copied. The service may run."
    )

    def add_arguments(self, parser):
        parser.add_argument("file", metavar="FILE", type=Path, help="the backup to write")
        parser.add_argument("--force", action="store_true", help="overwrite an existing file")

    def handle(self, *args, file, force, **options) -> str:
        try:
            manifest = back_up(connection, file, force)
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}.") from None
        if manifest.missing:
            raise CommandError(
                f"Backed up to {file}, and verified: {manifest}. "
                f"But {describe_missing(manifest.missing)}"
            )
        return (
            f"Backed up to {file}, and verified: {manifest}.\n"
            "Its pass codes and recordings are encrypted: keep PASS_CODE_KEYS elsewhere. "
            "Without these keys, they cannot be recovered."
        )
