"""Backup files: a ZIP file of the database's dump, the recordings and a manifest.

It can be used without this service too: `database.sqlite3` is a database, `database.dump` is for
pg_restore. The ZIP's comment, its last bytes, is the SHA-256 of all bytes before it.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import IO
from zipfile import ZipFile

from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from mailboxes.backups.checksums import BackupError, require_equal
from mailboxes.backups.postgresql import PostgreSQL
from mailboxes.backups.recordings import RecordingsCopy, restore_recordings, verify_recordings
from mailboxes.backups.sqlite import SQLite
from mailboxes.storage import sync
from mailboxes.temporary_folders import temporary_folder

MANIFEST = "manifest.json"
DIGEST_LENGTH = 64
CHUNK_BYTES = 2**20
ENGINES: dict[str, type[SQLite] | type[PostgreSQL]] = {"SQLite": SQLite, "PostgreSQL": PostgreSQL}


@dataclass(frozen=True)
class Manifest:
    """The contents of a backup: migrations, checksums of tables, ids of encryption keys."""

    engine: str
    made_at: str
    migrations: list[str]
    tables: dict[str, dict]
    keys: list[str] = field(default_factory=list)  # absent from the first version's backups
    recordings: int = 0  # in the archive
    in_bucket: int = 0
    missing: list[str] = field(default_factory=list)  # recordings that the store did not have

    def __str__(self):
        rows = sum(table["rows"] for table in self.tables.values())
        recordings = f", {self.recordings} recordings" if self.recordings else ""
        in_bucket = f", {self.in_bucket} recordings in the bucket" if self.in_bucket else ""
        return f"{rows} rows in {len(self.tables)} tables{recordings}{in_bucket}"


def back_up(connection, path: Path, force: bool = False) -> Manifest:
    """Write the database to the path, and verify it. Raises BackupError, OSError.

    The path gets only a backup that was verified; otherwise it is left unchanged.
    """
    if path.exists() and not force:
        raise BackupError(
            f"{path} exists already: choose another name, or add --force to overwrite it."
        )
    with temporary_folder(path.parent) as folder:
        archive = write_archive(connection, folder)
        manifest, _ = read_archive(connection, archive, folder)
        if not force:
            path.touch(exist_ok=False)
        archive.replace(path)
    sync(path.parent)
    return manifest


def restore(connection, path: Path, replace: bool = False, without_keys: bool = False) -> Manifest:
    """Replace the database with a backup, after verifying it. Raises BackupError, OSError.

    All of the database is replaced, or nothing; but a fault of the disk may be found only after
    that. A backup of a newer version is refused; after one of an older version, run `migrate`.
    Recordings are put into the store before the rows can be seen. Those of replaced rows stay
    there, and so do all of them if the restore fails then: `purge_deleted` removes them.
    """
    with temporary_folder(settings.TEMP_DIR) as folder:
        manifest, dump = read_archive(connection, path, folder)
        known = {".".join(migration) for migration in MigrationLoader(None).disk_migrations or {}}
        if unknown := sorted(set(manifest.migrations) - known):
            raise BackupError(
                f"{path} was made by a newer version of this service, with {unknown[0]}: "
                "restore it with that version."
            )
        missing = settings.PASS_CODE_KEYS.find_missing(manifest.keys)
        if missing and not without_keys:
            raise BackupError(
                f"{path} has pass codes encrypted with keys that are not in PASS_CODE_KEYS "
                f"({', '.join(missing)}): add those keys, or add --without-keys to restore "
                "these pass codes too, although they cannot be decrypted."
            )
        engine = ENGINES[connection.display_name](connection)
        with ZipFile(path) as archive:
            engine.restore(dump, manifest.tables, replace, partial(restore_recordings, archive))
    return manifest


def write_archive(connection, folder: Path) -> Path:
    """Write a backup into the folder, readable for its owner only, and sync it to disk."""
    engine = ENGINES[connection.display_name](connection)
    archive, dump = folder / "backup", folder / engine.dump_name
    with ZipFile(archive, "x", engine.compression) as file:
        recordings = RecordingsCopy(file)
        earlier: set[str] = set()
        while True:
            made_at = timezone.now().isoformat(timespec="seconds")
            snapshot = engine.dump(dump)
            missing = recordings.find_missing(snapshot.recordings)
            if missing <= earlier:
                break
            # They may have been removed after the snapshot. A new one does not have them.
            earlier = missing
            dump.unlink()
        copied = recordings.write_list(snapshot.recordings)
        manifest = Manifest(
            connection.display_name,
            made_at,
            snapshot.migrations,
            snapshot.tables,
            snapshot.keys,
            copied,
            len(snapshot.recordings) - copied - len(missing),
            sorted(missing),
        )
        file.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
        file.write(dump, engine.dump_name)
        file.comment = bytes(DIGEST_LENGTH)  # overwritten by write_digest
    dump.unlink()
    archive.chmod(0o600)
    write_digest(archive)
    sync(archive)
    return archive


def read_archive(connection, path: Path, folder: Path) -> tuple[Manifest, Path]:
    """Verify a backup. Return its manifest, and its dump, extracted into the folder."""
    engine = ENGINES[connection.display_name](connection)
    with path.open("rb") as file:
        if compute_digest(file) != file.read():
            raise BackupError(
                f"{path} is not a backup of this service, or was truncated or changed."
            )
        with ZipFile(file) as archive:
            manifest = Manifest(**json.loads(archive.read(MANIFEST)))
            if manifest.engine != connection.display_name:
                raise BackupError(
                    f"{path} is a backup of {manifest.engine}, "
                    f"but DATABASE_URL names a {connection.display_name} database."
                )
            verify_recordings(archive, manifest.recordings)
            dump = Path(archive.extract(engine.dump_name, folder))
    require_equal(
        engine.checksum_dump(dump), manifest.tables, f"{path} does not match its manifest"
    )
    return manifest, dump


def write_digest(archive: Path) -> None:
    with archive.open("r+b") as file:
        digest = compute_digest(file)
        file.seek(-DIGEST_LENGTH, os.SEEK_END)
        file.write(digest)


def compute_digest(file: IO[bytes]) -> bytes:
    """Return the SHA-256, in hexadecimal, of all bytes before the digest; seek to the digest."""
    remaining = max(file.seek(0, os.SEEK_END) - DIGEST_LENGTH, 0)
    file.seek(0)
    sha256 = hashlib.sha256()
    while remaining:
        chunk = file.read(min(CHUNK_BYTES, remaining))
        sha256.update(chunk)
        remaining -= len(chunk)
    return sha256.hexdigest().encode()
