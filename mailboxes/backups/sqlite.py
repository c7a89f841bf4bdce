"""Backups of SQLite, by its online backup."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZIP_DEFLATED

from mailboxes.backups.figures import (
    LEFT_EMPTY,
    BackupError,
    figure,
    key_query,
    refuse_data,
    refuse_difference,
)


class SQLite:
    """The database file of Django's connection."""

    dump_name = "database.sqlite3"
    compression = ZIP_DEFLATED

    def __init__(self, connection):
        connection.close()
        self.path = Path(connection.settings_dict["NAME"])

    def dump(self, path: Path) -> tuple[list[str], list[str], dict]:
        """Write the database to the path; its migrations, keys and figures, of the same moment."""
        with opened(self.path, "rw") as source, opened(path, "rwc") as copy:
            source.execute("BEGIN")  # and from the first reading on, nobody's writes are seen
            migrations = source.execute(
                "SELECT app || '.' || name FROM django_migrations ORDER BY 1"
            )
            applied = [name.decode() for (name,) in migrations]
            tables = figures(source)
            keys = [name.decode() for (name,) in source.execute(key_query(tables))]
            source.backup(copy)
            for table in LEFT_EMPTY & names(copy):
                copy.execute(f'DELETE FROM "{table}"')  # noqa: S608  our own
            copy.execute("PRAGMA journal_mode=DELETE")  # a single file, with no -wal beside it
        return applied, keys, tables

    def read(self, path: Path) -> dict:
        """The figures of what `dump` wrote. Raises BackupError where the file is not sound."""
        with opened(path, "ro") as copy:
            found = [line.decode() for (line,) in copy.execute("PRAGMA integrity_check")]
            if found != ["ok"]:
                raise BackupError(f"The backup's SQLite file is damaged: {found[0]}.")
            return figures(copy)

    def restore(self, path: Path, tables: dict, replace: bool) -> None:
        """Put what `dump` wrote in the place of all that the database holds. Raises BackupError.

        Nobody else has the database open meanwhile, so that what is refused, written
        and read back is the same.
        """
        with opened(path, "ro") as source, opened(self.path, "rwc") as database:
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
                refuse_data(figures(database))
            database.execute("COMMIT")  # the lock stays until the end
            source.backup(database)  # one transaction: all of it is written, or nothing
            refuse_difference(
                figures(database),
                tables,
                "The database was replaced, but reads back differently from what was written: "
                "do not trust its disk",
            )


@contextmanager
def opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """The database at the path, text as the bytes it is kept in. Raises BackupError."""
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


def names(database: sqlite3.Connection) -> set[str]:
    """Return the names of all tables but SQLite's own."""
    found = database.execute(
        r"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'"
    )
    return {name.decode() for (name,) in found}


def figures(database: sqlite3.Connection) -> dict:
    """Of each table that is backed up with its rows, by its name."""
    found = {}
    for name in sorted(names(database) - LEFT_EMPTY):
        rows = database.execute(f'SELECT * FROM "{name}"')  # noqa: S608  a name of its own
        found[name] = figure(repr(row).encode() for row in rows)
    return found
