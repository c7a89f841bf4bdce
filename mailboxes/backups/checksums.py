"""Row counts and checksums of tables, to compare two copies."""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from django.core.management.base import CommandError

from mailboxes.encryption import KEY_ID_LENGTH
from mailboxes.models import ChangeFeed, ServerProcess
from mailboxes.models.encrypted import EncryptedRow, RowWithKey

# Tables that `migrate` fills: a database with rows only in these counts as empty.
FILLED_BY_MIGRATE = {
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_content_type",
    "django_migrations",
}

# Tables that are backed up without their rows: feeds of changes (a cursor from before a restore must
# be refused), processes that do not run after it, sessions (whoever has a session's key is signed
# in), and failed sign-ins.
EXCLUDED = {
    ChangeFeed._meta.db_table,
    ServerProcess._meta.db_table,
    "axes_accessattempt",
    "axes_accessattemptexpiration",
    "axes_accessfailurelog",
    "axes_accesslog",
    "django_session",
}


class BackupError(CommandError):
    """A backup cannot be made or restored. The message is a sentence for the user."""


class Snapshot(NamedTuple):
    """A database at one moment."""

    migrations: list[str]
    keys: list[str]  # ids of those that encrypted its texts
    tables: dict[str, dict]  # their checksums
    recordings: set[str]  # names


def checksum_rows(rows: Iterable[bytes]) -> dict:
    """Return the number of rows, and a checksum that does not depend on their order."""
    count = total = 0
    for row in rows:
        count += 1
        total += int.from_bytes(hashlib.sha256(row).digest())
    return {"rows": count, "checksum": f"{total % 2**256:064x}"}


def key_query(tables: Iterable[str]) -> str:
    """Return SQL that lists the ids of the keys that encrypted the tables' texts."""
    columns = {
        model._meta.db_table: model._meta.get_field(model.ENCRYPTED_COLUMN).column
        for model in EncryptedRow.encrypted_models()
    }
    return " UNION ".join(
        f'SELECT substr("{columns[table]}", 1, {KEY_ID_LENGTH}) FROM "{table}"'  # noqa: S608  our own
        f' WHERE "{columns[table]}" IS NOT NULL'
        for table in columns.keys() & tables
    )


def recordings_query(tables: Iterable[str]) -> str:
    """Return SQL that lists the names of recordings: of messages, and of sounds."""
    selects = ["SELECT '' WHERE 1 = 0"]
    for model, column in RowWithKey.list_file_columns():
        # Before `migrate`, a database of an older version lacks tables.
        if (table := model._meta.db_table) in tables:
            selects.append(f'SELECT "{column}" FROM "{table}"')  # noqa: S608  our own
    return " UNION ALL ".join(selects)


def require_equal(found: dict, expected: dict, message: str) -> None:
    """Raise BackupError if the checksums of tables differ, except for EXCLUDED tables."""
    differing = sorted(
        table
        for table in (found.keys() | expected.keys()) - EXCLUDED
        if found.get(table) != expected.get(table)
    )
    if differing:
        raise BackupError(f"{message} (in {', '.join(differing)}).")


def require_empty(tables: dict) -> None:
    """Raise BackupError if a table has rows that `migrate` has not made."""
    if any(table["rows"] for name, table in tables.items() if name not in FILLED_BY_MIGRATE):
        raise BackupError(
            "The database is not empty: name an empty one in DATABASE_URL, "
            "or add --replace to delete its data."
        )
