"""Backups of PostgreSQL by pg_dump and pg_restore."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, cast
from zipfile import ZIP_STORED

import psycopg
from django.db import Error, transaction
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

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

DEBIAN = Path("/usr/lib/postgresql")  # has a folder for each version, not on the PATH
COPIED_TABLE = re.compile(r'^COPY \S+\."?(\w+)"? \(')


class PostgreSQL:
    """Dump and restore Django's tables, indexes and sequences, without owners and privileges."""

    dump_name = "database.dump"
    compression = ZIP_STORED  # pg_dump has compressed it

    def __init__(self, connection):
        self.connection = connection

    def dump(self, path: Path) -> Snapshot:
        """Write a dump to the path."""
        with self.transaction() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            (snapshot,) = cursor.fetchone()
            cursor.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1")
            applied = [name for (name,) in cursor.fetchall()]
            tables = self.checksum_tables(cursor)
            cursor.execute(key_query(tables))
            keys = [name for (name,) in cursor.fetchall()]
            cursor.execute(recordings_query(tables))
            recordings = {name for (name,) in cursor.fetchall()}
            options = [
                "--format=custom",
                "--no-owner",
                "--no-acl",
                "--encoding=UTF8",
                "--strict-names",
                *(f'--table="{table}"' for table in self.table_names(cursor)),
                *(f'--exclude-table-data="{table}"' for table in EXCLUDED),
                f"--snapshot={snapshot}",
                f"--file={path}",
                f"--dbname={self.conninfo()}",
            ]
            # Not an argument: every user of the machine can see those.
            password = self.connection.connection.info.password
            with run_program("pg_dump", *options, PGPASSWORD=password, PGTZ="UTC") as output:
                output.read()
        return Snapshot(applied, keys, tables, recordings)

    def checksum_dump(self, path: Path) -> dict:
        """Return the checksums of a dump's tables. Raises BackupError if the file is damaged."""
        with run_program("pg_restore", "--file=-", str(path)) as script:
            return {
                COPIED_TABLE.findall(copy)[0]: checksum_rows(rows)
                for _, copy, rows in split_script(script)
                if copy
            }

    def restore(self, path: Path, tables: dict, replace: bool, put_files: Callable) -> None:
        """Replace the database with a dump. Raises BackupError.

        `put_files` is called once it is certain that the database may be replaced.
        The SQL of pg_restore is executed here, so that the check, the replacement and the
        comparison are one transaction.
        """
        with (
            self.transaction() as cursor,
            run_program("pg_restore", "--file=-", str(path)) as script,
        ):
            cursor.execute("SET LOCAL lock_timeout = '60s'")
            if present := ", ".join(f'"{table}"' for table in self.table_names(cursor)):
                cursor.execute(f"LOCK TABLE {present} IN ACCESS EXCLUSIVE MODE")
                if not replace:
                    require_empty(self.checksum_tables(cursor))
                cursor.execute(f"DROP TABLE {present}")
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            put_files()
            for sql, copy, rows in split_script(script):
                cursor.execute(sql)
                if copy:
                    with cursor.copy(copy) as table:
                        for row in rows:
                            table.write(row)
            cursor.execute("RESET search_path")
            for table in EXCLUDED.intersection(self.table_names(cursor)):
                cursor.execute(f'DELETE FROM "{table}"')  # noqa: S608  our own
            require_equal(
                self.checksum_tables(cursor),
                tables,
                "The restored tables differ from the backup, so nothing was changed",
            )

    @contextmanager
    def transaction(self):
        """Yield a cursor in a transaction, then close the connection. Raises BackupError."""
        try:
            with transaction.atomic(self.connection.alias), self.connection.cursor() as cursor:
                yield cursor
        except (Error, psycopg.Error) as error:
            raise BackupError(f"PostgreSQL failed: {str(error).splitlines()[0]}.") from None
        finally:
            self.connection.close()

    def conninfo(self) -> str:
        """Return libpq's connection string for the connected server, without the password.

        The settings may name several hosts, and only the connected one has the snapshot.
        """
        settings = self.connection.get_connection_params()
        libpq = {option.keyword.decode() for option in Conninfo.get_defaults()} - {"password"}
        server = self.connection.connection.info
        options = {name: settings[name] for name in libpq & settings.keys()}
        return make_conninfo(**options | {"host": server.host, "port": server.port})

    def table_names(self, cursor) -> list[str]:
        return self.connection.introspection.table_names(cursor)

    def checksum_tables(self, cursor) -> dict:
        """Return the checksum of each table that is backed up with its rows, in COPY's format."""
        checksums = {}
        for table in sorted(set(self.table_names(cursor)) - EXCLUDED):
            with cursor.copy(f'COPY "{table}" TO STDOUT') as rows:
                checksums[table] = checksum_rows(rows)
        return checksums


@contextmanager
def run_program(program: str, *arguments: str, **environment: str) -> Iterator[IO[bytes]]:
    """Yield the program's output. Raises BackupError with its first error line if it fails."""
    with (
        TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603  our own program and arguments, without a shell
            [find_program(program), *arguments],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        yield cast(IO[bytes], process.stdout)
        if process.wait():
            errors.seek(0)
            raise BackupError(errors.readline().decode(errors="replace").strip())


def find_program(program: str) -> str:
    """Return the program's path, from PATH or Debian's newest version. Raises BackupError."""
    versions = sorted(DEBIAN.glob("[0-9]*"), key=lambda folder: float(folder.name), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", ""), *(f"{folder}/bin" for folder in versions)])
    found = shutil.which(program, path=path)
    if found is None:
        raise BackupError(f"{program} is not installed: install PostgreSQL's client programs.")
    return found


def split_script(script: IO[bytes]) -> Iterator[tuple[str, str, Iterator[bytes]]]:
    sql = ""
    for line in script:
        if line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
            yield sql, line.decode(), copied_rows(script)
            sql = ""
        elif not line.startswith(b"\\"):  # a command of psql
            sql += line.decode()
    yield sql, "", iter(())


def copied_rows(script: IO[bytes]) -> Iterator[bytes]:
    for row in script:
        if row == b"\\.\n":
            return
        yield row
