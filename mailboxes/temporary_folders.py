"""Temporary folders that are removed even if their process is killed."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

PREFIX = ".mailboxes-"


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent` that only its owner can read. Raises OSError.

    First remove the folders there that killed processes left: a folder is locked (flock) while it
    is in use, and the lock of a process ends with it.
    """
    with lock(parent):  # a folder is locked before another process can find it
        remove_abandoned(parent)
        folder = Path(mkdtemp(prefix=PREFIX, dir=parent))
        descriptor = os.open(folder, os.O_RDONLY)
        try_to_lock(descriptor)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: nothing will be removed there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is a file, a link, or of another user
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if try_to_lock(descriptor):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def try_to_lock(descriptor: int) -> bool:
    """Lock an open folder until it is closed. Return False if it is in use."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # BlockingIOError, or the file system has no locks
        return False
    return True
