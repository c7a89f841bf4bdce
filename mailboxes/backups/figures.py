"""What tables hold, in figures that two copies can be compared by."""

import hashlib
from collections.abc import Iterable

from django.core.management.base import CommandError

from mailboxes.encryption import KEY_ID_LENGTH
from mailboxes.models import ServerProcess
from mailboxes.models.encrypted import EncryptedRow

# What `migrate` fills by itself: rows in these alone are no data.
FILLED_BY_MIGRATE = {
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_content_type",
    "django_migrations",
}

# Tables that are backed up without their rows: after a restore, these would name processes that
# do not run.
LEFT_EMPTY = {ServerProcess._meta.db_table}


class BackupError(CommandError):
    """Why a backup could not be made or restored, in a sentence."""


def figure(rows: Iterable[bytes]) -> dict:
    """How many rows there are, and a checksum over them in whatever order they come."""
    count = total = 0
    for row in rows:
        count += 1
        total += int.from_bytes(hashlib.sha256(row).digest())
    return {"rows": count, "checksum": f"{total % 2**256:064x}"}


def key_query(tables: Iterable[str]) -> str:
    """SQL that lists the names of the keys that sealed what is in these tables."""
    columns = {
        model._meta.db_table: model._meta.get_field(model.ENCRYPTED_COLUMN).column
        for model in EncryptedRow.encrypted_models()
    }
    return " UNION ".join(
        f'SELECT substr("{columns[table]}", 1, {KEY_ID_LENGTH}) FROM "{table}"'  # noqa: S608  our own
        f' WHERE "{columns[table]}" IS NOT NULL'
        for table in columns.keys() & tables
    )


def refuse_difference(found: dict, expected: dict, sentence: str) -> None:
    """Raises BackupError with the sentence and the tables that are not as expected, if any."""
    differing = sorted(
        table for table in found.keys() | expected.keys() if found.get(table) != expected.get(table)
    )
    if differing:
        raise BackupError(f"{sentence} (in {', '.join(differing)}).")


def refuse_data(tables: dict) -> None:
    """Raises BackupError if any of the tables holds what somebody has entered."""
    if any(held["rows"] for table, held in tables.items() if table not in FILLED_BY_MIGRATE):
        raise BackupError(
            "The database is not empty: name an empty one in DATABASE_URL, "
            "or add --replace to delete its data."
        )
