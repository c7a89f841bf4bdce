"""Backups of SQLite by its online backup API."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZIP_DEFLATED

from mailboxes.backups.checksums import (
    EXCLUDED,
    BackupError,
    Snapshot,
    checksum_rows,
    key_query,
    recordings_query,
    require_empty,
    require_equal,
)


class SQLite:
    """Dump and restore the database file of Django's connection."""

    dump_name = "database.sqlite3"
    compression = ZIP_DEFLATED

    def __init__(self, connection):
        connection.close()
        self.path = Path(connection.settings_dict["NAME"])

    def dump(self, path: Path) -> Snapshot:
        """Write a dump to the path."""
        with open_database(self.path, "rw") as source, open_database(path, "rwc") as copy:
            source.execute("BEGIN")  # after the first read, later writes are invisible
            migrations = source.execute(
                "SELECT app || '.' || name FROM django_migrations ORDER BY 1"
            )
            applied = [name.decode() for (name,) in migrations]
            tables = checksum_tables(source)
            keys = [name.decode() for (name,) in source.execute(key_query(tables))]
            recordings = {name.decode() for (name,) in source.execute(recordings_query(tables))}
            source.backup(copy)
            empty_excluded(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # a single file, without a -wal file
        return Snapshot(applied, keys, tables, recordings)

    def checksum_dump(self, path: Path) -> dict:
        """Return the checksums of a dump's tables. Raises BackupError if the file is damaged."""
        with open_database(path, "ro") as copy:
            found = [line.decode() for (line,) in copy.execute("PRAGMA integrity_check")]
            if found != ["ok"]:
                raise BackupError(f"The backup's SQLite file is damaged: {found[0]}.")
            return checksum_tables(copy)

    def restore(self, path: Path, tables: dict, replace: bool, put_files: Callable) -> None:
        """Replace the database with a dump, which is changed. Raises BackupError.

        `put_files` is called once it is certain that the database may be replaced.

        The database is locked from the check to the comparison, so that nothing else writes to it.
        """
        with open_database(path, "rw") as source, open_database(self.path, "rwc") as database:
            empty_excluded(source)  # backups of older versions have their rows
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
            try:
                database.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                    raise
                raise BackupError(
                    "Another program has the database open: stop the service first."
                ) from None
            if not replace:
                require_empty(checksum_tables(database))
            database.execute("COMMIT")  # the exclusive lock stays until the connection is closed
            put_files()
            source.backup(database)  # one transaction
            require_equal(
                checksum_tables(database),
                tables,
                "The database was replaced, but differs from the backup when read again: "
                "check the disk",
            )


@contextmanager
def open_database(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open an SQLite file whose texts are read as bytes. Raises BackupError."""
    try:
        address = f"{path.resolve().as_uri()}?mode={mode}"
        database = sqlite3.connect(address, uri=True, isolation_level=None, timeout=1)
        try:
            database.text_factory = bytes
            yield database
        finally:
            database.close()
    except sqlite3.Error as error:
        raise BackupError(f"SQLite cannot use {path.name}: {error}.") from None


def empty_excluded(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA secure_delete=ON")  # leave no bytes of deleted rows in the file
    for table in EXCLUDED & table_names(database):
        database.execute(f'DELETE FROM "{table}"')  # noqa: S608  our own


def table_names(database: sqlite3.Connection) -> set[str]:
    found = database.execute(
        r"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'"
    )
    return {name.decode() for (name,) in found}


def checksum_tables(database: sqlite3.Connection) -> dict:
    checksums = {}
    for name in sorted(table_names(database) - EXCLUDED):
        rows = database.execute(f'SELECT * FROM "{name}"')  # noqa: S608  from SQLite's own list
        checksums[name] = checksum_rows(repr(row).encode() for row in rows)
    return checksums
