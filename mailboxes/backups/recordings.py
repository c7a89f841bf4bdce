"""Recordings in a backup: files in its ZIP archive, with a list of their checksums.

The list, `recordings.sha256`, has the format of the program sha256sum.
"""

import hashlib
from collections.abc import Iterator
from typing import IO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from mailboxes.backups.checksums import BackupError
from mailboxes.storage import recordings_store

FOLDER = "recordings/"
LIST = "recordings.sha256"
CHUNK_BYTES = 2**20


class RecordingsCopy:
    """Copies recordings from the store into an archive, each once.

    Those in a bucket are not copied: their presence is checked.
    """

    def __init__(self, archive: ZipFile):
        self.archive = archive
        self.store = recordings_store()
        self.checksums: dict[str, str] = {}  # by name

    def find_missing(self, names: set[str]) -> set[str]:
        """Copy or check these recordings. Return those that the store does not have."""
        if not self.store.is_folder:
            return find_missing(names) if names else set()
        return {name for name in sorted(names - self.checksums.keys()) if not self.copy(name)}

    def copy(self, name: str) -> bool:
        """Copy the recording. Return False if it does not exist."""
        entry = ZipInfo(FOLDER + name)
        entry.compress_type = ZIP_STORED  # it is encrypted
        try:
            with self.store.open(name) as source, self.archive.open(entry, "w") as copy:
                self.checksums[name] = copy_and_hash(source, copy)
        except FileNotFoundError:
            return False
        return True

    def write_list(self, names: set[str]) -> int:
        """Write the checksums of these recordings. Return their number."""
        copied = sorted(names & self.checksums.keys())
        lines = [f"{self.checksums[name]}  {FOLDER}{name}\n" for name in copied]
        if lines:
            self.archive.writestr(LIST, "".join(lines))
        return len(copied)


def copy_and_hash(source: IO[bytes], copy: IO[bytes] | None = None) -> str:
    sha256 = hashlib.sha256()
    while chunk := source.read(CHUNK_BYTES):
        sha256.update(chunk)
        if copy:
            copy.write(chunk)
    return sha256.hexdigest()


def list_recordings(archive: ZipFile) -> Iterator[tuple[str, str]]:
    """Yield checksum and name of each recording in the archive."""
    if LIST in archive.namelist():
        for line in archive.read(LIST).decode().splitlines():
            checksum, _, path = line.partition("  ")
            yield checksum, path.removeprefix(FOLDER)


def verify_recordings(archive: ZipFile, number: int) -> None:
    """Compare the recordings with their checksums. Raises BackupError."""
    verified = 0
    for checksum, name in list_recordings(archive):
        with archive.open(FOLDER + name) as file:
            if copy_and_hash(file) != checksum:
                raise BackupError(f"The recording {name} does not match its checksum.")
        verified += 1
    if verified != number:
        raise BackupError(f"The backup has {verified} of {number} recordings.")


def restore_recordings(archive: ZipFile) -> None:
    """Put the recordings into the store, in place of those with the same names."""
    store = recordings_store()
    for _checksum, name in list_recordings(archive):
        with archive.open(FOLDER + name) as file:
            store.replace(name, file)


def find_missing(names: set[str]) -> set[str]:
    """Return the names of recordings that the store does not have."""
    return names - {name for name, _time in recordings_store().walk()}


def describe_missing(names: list[str]) -> str:
    """Return a sentence that names the recordings that the store does not have."""
    shown = ", ".join(name.rpartition("/")[2] for name in names[:10])
    return f"{len(names)} recordings are not in the store: {shown}{' …' * (len(names) > 10)}."
