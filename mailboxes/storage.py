"""The store of recordings: a folder whose files are on disk when they are saved."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from uuid import UUID

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, storages

# In folders, because large folders are slow. A file with another name is not ours.
UNFINISHED = ".new"
RECORDING = re.compile(
    rf"([0-9a-f]{{2}})/([0-9a-f]{{2}})/(\1\2[0-9a-f]{{28}})({re.escape(UNFINISHED)})?"
)


def recordings_store():
    return storages["recordings"]


def name_in_folders(uuid: UUID) -> str:
    name = uuid.hex
    return f"{name[:2]}/{name[2:4]}/{name}"


class RecordingFolder(FileSystemStorage):
    """Files that only the service's user can read. Raises OSError, and keeps no partial file."""

    is_folder = True

    def __init__(self, location: Path):
        super().__init__(location, file_permissions_mode=0o600, directory_permissions_mode=0o700)

    def _save(self, name, content):
        try:
            saved = super()._save(name, content)
            self.sync_path(Path(self.path(saved)))
        except OSError:
            self.delete(name)
            raise
        return saved

    def sync_path(self, path: Path) -> None:
        """Sync the file and its folders: a crash of the machine could lose new names of them."""
        sync(path)
        while path != Path(self.location):
            path = path.parent
            sync(path)

    def replace(self, name: str, content: IO[bytes]) -> None:
        """Save the file under exactly this name, in place of one that is there."""
        path = Path(self.path(name))
        unfinished = path.with_name(path.name + UNFINISHED)
        unfinished.unlink(missing_ok=True)
        self._save(f"{name}{UNFINISHED}", File(content))
        unfinished.replace(path)
        self.sync_path(path)

    def walk(self) -> Iterator[tuple[str, datetime]]:
        """Yield the name and time of each recording, also of unfinished ones."""
        location = Path(self.location)
        for path in location.glob("??/??/*"):
            name = path.relative_to(location).as_posix()
            if RECORDING.fullmatch(name):
                with suppress(FileNotFoundError):  # removed meanwhile
                    yield name, datetime.fromtimestamp(path.stat().st_mtime, UTC)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
