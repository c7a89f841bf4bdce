"""Backups of PostgreSQL, by its own pg_dump and pg_restore."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, cast
from zipfile import ZIP_STORED

import psycopg
from django.db import Error, transaction
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from mailboxes.backups.figures import (
    LEFT_EMPTY,
    BackupError,
    figure,
    key_query,
    refuse_data,
    refuse_difference,
)

DEBIAN = Path("/usr/lib/postgresql")  # each version has its own folder there, off the PATH
COPIED_TABLE = re.compile(r'^COPY \S+\."?(\w+)"? \(')


class PostgreSQL:
    """The database of Django's connection: its tables, indexes and numbering, without owners and rights."""

    dump_name = "database.dump"
    compression = ZIP_STORED  # it is compressed already

    def __init__(self, connection):
        self.connection = connection

    def dump(self, path: Path) -> tuple[list[str], list[str], dict]:
        """Write the database to the path; its migrations, keys and figures, of the same moment."""
        with self.transaction() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            (snapshot,) = cursor.fetchone()
            cursor.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1")
            applied = [name for (name,) in cursor.fetchall()]
            tables = self.figures(cursor)
            cursor.execute(key_query(tables))
            keys = [name for (name,) in cursor.fetchall()]
            options = [
                "--format=custom",
                "--no-owner",
                "--no-acl",
                "--encoding=UTF8",
                "--strict-names",
                *(f'--table="{table}"' for table in self.tables(cursor)),
                *(f'--exclude-table-data="{table}"' for table in LEFT_EMPTY),
                f"--snapshot={snapshot}",
                f"--file={path}",
                f"--dbname={self.address()}",
            ]
            # The password is no argument: everybody on the machine sees those.
            password = self.connection.connection.info.password
            with run("pg_dump", *options, PGPASSWORD=password, PGTZ="UTC") as output:
                output.read()
        return applied, keys, tables

    def read(self, path: Path) -> dict:
        """The figures of what `dump` wrote. Raises BackupError where the file is not sound."""
        with run("pg_restore", "--file=-", str(path)) as script:
            return {
                COPIED_TABLE.findall(copy)[0]: figure(rows)
                for _, copy, rows in statements(script)
                if copy
            }

    def restore(self, path: Path, tables: dict, replace: bool) -> None:
        """Put what `dump` wrote in the place of all that the database holds. Raises BackupError.

        pg_restore's statements are run here, not by itself, so that what is refused,
        removed, written and read back is one transaction.
        """
        with self.transaction() as cursor, run("pg_restore", "--file=-", str(path)) as script:
            cursor.execute("SET LOCAL lock_timeout = '60s'")
            if present := ", ".join(f'"{table}"' for table in self.tables(cursor)):
                cursor.execute(f"LOCK TABLE {present} IN ACCESS EXCLUSIVE MODE")
                if not replace:
                    refuse_data(self.figures(cursor))
                cursor.execute(f"DROP TABLE {present}")
            for sql, copy, rows in statements(script):
                cursor.execute(sql)
                if copy:
                    with cursor.copy(copy) as table:
                        for row in rows:
                            table.write(row)
            cursor.execute("RESET search_path")
            refuse_difference(
                self.figures(cursor),
                tables,
                "The restored tables differ from the backup, so nothing was changed",
            )

    @contextmanager
    def transaction(self):
        """A cursor in a transaction, on a connection that is closed after it. Raises BackupError."""
        try:
            with transaction.atomic(self.connection.alias), self.connection.cursor() as cursor:
                yield cursor
        except (Error, psycopg.Error) as error:
            raise BackupError(f"PostgreSQL refused: {str(error).splitlines()[0]}.") from None
        finally:
            self.connection.close()

    def address(self) -> str:
        """Where pg_dump finds what this connection is connected to, without the password.

        Of several hosts only one has the snapshot.
        """
        ours = self.connection.get_connection_params()
        libpq = {option.keyword.decode() for option in Conninfo.get_defaults()} - {"password"}
        server = self.connection.connection.info
        options = {name: ours[name] for name in libpq & ours.keys()}
        return make_conninfo(**options | {"host": server.host, "port": server.port})

    def tables(self, cursor) -> list[str]:
        return self.connection.introspection.table_names(cursor)

    def figures(self, cursor) -> dict:
        """Of each table that is backed up with its rows; they are written as pg_dump writes them."""
        found = {}
        for table in sorted(set(self.tables(cursor)) - LEFT_EMPTY):
            with cursor.copy(f'COPY "{table}" TO STDOUT') as rows:
                found[table] = figure(rows)
        return found


@contextmanager
def run(program: str, *arguments: str, **environment: str) -> Iterator[IO[bytes]]:
    """What the program prints. Raises BackupError, with its own words, where it fails."""
    with (
        TemporaryFile() as complaints,
        subprocess.Popen(  # noqa: S603  found by us, and no shell
            [find(program), *arguments],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=complaints,
        ) as process,
    ):
        yield cast(IO[bytes], process.stdout)
        if process.wait():
            complaints.seek(0)
            raise BackupError(complaints.readline().decode(errors="replace").strip())


def find(program: str) -> str:
    """Where the program is: on the PATH, or the newest of Debian's. Raises BackupError."""
    versions = sorted(DEBIAN.glob("[0-9]*"), key=lambda folder: float(folder.name), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", ""), *(f"{folder}/bin" for folder in versions)])
    found = shutil.which(program, path=path)
    if found is None:
        raise BackupError(
            f"{program} is not on this machine: install PostgreSQL's client programs."
        )
    return found


def statements(script: IO[bytes]) -> Iterator[tuple[str, str, Iterator[bytes]]]:
    """What a script of pg_restore runs: SQL, then a COPY with its rows; at the end only SQL."""
    sql = ""
    for line in script:
        if line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
            yield sql, line.decode(), until_end(script)
            sql = ""
        elif not line.startswith(b"\\"):  # those are for psql
            sql += line.decode()
    yield sql, "", iter(())


def until_end(script: IO[bytes]) -> Iterator[bytes]:
    """The rows of a COPY, up to the mark that ends them."""
    for row in script:
        if row == b"\\.\n":
            return
        yield row
