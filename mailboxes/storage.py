"""The store of recordings: a folder whose files are on disk when they are saved."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.core.files.storage import FileSystemStorage, Storage


class RecordingFolder(FileSystemStorage):
    """Files that only the service's user can read. Raises OSError, and keeps no partial file."""

    def __init__(self, location: Path):
        super().__init__(location, file_permissions_mode=0o600, directory_permissions_mode=0o700)

    def _save(self, name, content):
        try:
            saved = super()._save(name, content)
            path = Path(self.path(saved))
            sync(path)
            # Otherwise a crash of the machine could lose the names of new files and folders.
            while path != Path(self.location):
                path = path.parent
                sync(path)
        except OSError:
            self.delete(name)
            raise
        return saved


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def walk_files(store: Storage, folder: str = "") -> Iterator[str]:
    """Yield the names of all files in the store."""
    folders, files = store.listdir(folder)
    for name in files:
        yield f"{folder}{name}"
    for name in folders:
        yield from walk_files(store, f"{folder}{name}/")


def is_older(store: Storage, name: str, moment: datetime) -> bool:
    """Return True if the file was saved before this time. It may be removed meanwhile."""
    try:
        return store.get_modified_time(name) < moment
    except FileNotFoundError:
        return False
