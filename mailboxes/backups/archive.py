"""A backup: one ZIP file that holds the database's own dump and a manifest of what is in it.

It opens without this service too: `database.sqlite3` is a database, `database.dump` is for
pg_restore. The ZIP's comment, its last bytes, is the SHA-256 of all that stands before it.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO
from zipfile import ZipFile

from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from mailboxes.backups.figures import BackupError, refuse_difference
from mailboxes.backups.postgresql import PostgreSQL
from mailboxes.backups.sqlite import SQLite

MANIFEST = "manifest.json"
SEAL_BYTES = 64
CHUNK_BYTES = 2**20
ENGINES: dict[str, type[SQLite] | type[PostgreSQL]] = {"SQLite": SQLite, "PostgreSQL": PostgreSQL}


@dataclass(frozen=True)
class Manifest:
    """What is in a backup: of each table the number of rows and a checksum over them; which keys sealed its pass codes."""

    engine: str
    made_at: str
    migrations: list[str]
    tables: dict[str, dict]
    keys: list[str] = field(default_factory=list)  # the first backups did not tell

    def __str__(self):
        rows = sum(table["rows"] for table in self.tables.values())
        return f"{rows} rows in {len(self.tables)} tables"


def back_up(connection, path: Path, force: bool = False) -> Manifest:
    """Write the database to the path, and read it back. Raises BackupError, OSError.

    Under that name stands a backup that was found whole, or what stood there before.
    """
    if path.exists() and not force:
        raise BackupError(
            f"{path} exists already: choose another name, or add --force to overwrite it."
        )
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        archive = write(connection, Path(folder))
        manifest, _ = read(connection, archive, Path(folder))
        if not force:
            path.touch(exist_ok=False)
        archive.replace(path)
    sync(path.parent)
    return manifest


def restore(connection, path: Path, replace: bool = False, without_keys: bool = False) -> Manifest:
    """Put what is in the backup in the place of all that the database holds. Raises BackupError, OSError.

    Nothing is changed before the backup has been read and found whole; then all of it, or nothing.
    """
    with TemporaryDirectory() as folder:
        manifest, dump = read(connection, path, Path(folder))
        known = {".".join(migration) for migration in MigrationLoader(None).disk_migrations or {}}
        if unknown := sorted(set(manifest.migrations) - known):
            raise BackupError(
                f"{path} was made by a newer version of this service, with {unknown[0]}: "
                "restore it with that version."
            )
        lacking = settings.PASS_CODE_KEYS.find_missing(manifest.keys)
        if lacking and not without_keys:
            raise BackupError(
                f"{path} has pass codes under keys that PASS_CODE_KEYS lacks ({', '.join(lacking)}): "
                "list those keys too, or add --without-keys to restore these as well, though nothing opens them."
            )
        ENGINES[connection.display_name](connection).restore(dump, manifest.tables, replace)
    return manifest


def write(connection, folder: Path) -> Path:
    """Make a backup in the folder, on disk and only its owner's to read."""
    engine = ENGINES[connection.display_name](connection)
    archive, dump = folder / "backup", folder / engine.dump_name
    made_at = timezone.now().isoformat(timespec="seconds")
    migrations, keys, tables = engine.dump(dump)
    manifest = Manifest(connection.display_name, made_at, migrations, tables, keys)
    with ZipFile(archive, "x", engine.compression) as file:
        file.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
        file.write(dump, engine.dump_name)
        file.comment = bytes(SEAL_BYTES)  # room for the seal
    dump.unlink()
    archive.chmod(0o600)
    seal(archive)
    sync(archive)
    return archive


def read(connection, path: Path, folder: Path) -> tuple[Manifest, Path]:
    """A backup's manifest, and its dump, put into the folder; found whole, and for this database."""
    engine = ENGINES[connection.display_name](connection)
    with path.open("rb") as file:
        if digest(file) != file.read():
            raise BackupError(
                f"{path} is not a backup of this service, or was truncated or changed."
            )
        with ZipFile(file) as archive:
            manifest = Manifest(**json.loads(archive.read(MANIFEST)))
            if manifest.engine != connection.display_name:
                raise BackupError(
                    f"{path} is a backup of {manifest.engine}, "
                    f"and DATABASE_URL names a database of {connection.display_name}."
                )
            dump = Path(archive.extract(engine.dump_name, folder))
    refuse_difference(
        engine.read(dump), manifest.tables, f"{path} does not hold what its manifest says"
    )
    return manifest, dump


def seal(archive: Path) -> None:
    """Write the seal over the file's last bytes."""
    with archive.open("r+b") as file:
        sha256 = digest(file)
        file.seek(-SEAL_BYTES, os.SEEK_END)
        file.write(sha256)


def digest(file: IO[bytes]) -> bytes:
    """The SHA-256, in hexadecimal, of what stands before the file's seal, to which it reads."""
    remaining = max(file.seek(0, os.SEEK_END) - SEAL_BYTES, 0)
    file.seek(0)
    sha256 = hashlib.sha256()
    while remaining:
        chunk = file.read(min(CHUNK_BYTES, remaining))
        sha256.update(chunk)
        remaining -= len(chunk)
    return sha256.hexdigest().encode()


def sync(path: Path) -> None:
    """Have what was written to the file or folder on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
