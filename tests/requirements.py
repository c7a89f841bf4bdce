"""Programs that some tests need: PostgreSQL, a browser, a real Asterisk.

A test is skipped if its program is missing; REQUIRE=postgres,browser turns the skip into a failure.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

REQUIRED = {part for part in os.environ.get("REQUIRE", "").split(",") if part}


def skip_or_fail(part: str, reason: str):
    """Skip the test, or fail it if REQUIRE has this part."""
    if part in REQUIRED:
        pytest.fail(f"{reason} REQUIRE has it.", pytrace=False)
    pytest.skip(reason)


def postgres_programs() -> Path | None:
    """Return the folder of initdb and pg_ctl, which Debian keeps outside the PATH."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def asterisk_kit() -> Path | None:
    """Return the folder ASTERISK_KIT.

    Its get.sh fetches a real Asterisk, start.sh runs it, and call.py is a phone.
    """
    kit = os.environ.get("ASTERISK_KIT")
    return Path(kit).resolve() if kit else None


def s3_server() -> Path | None:
    """Return nanio, a small server that speaks S3 and checks signatures."""
    program = Path(sys.executable).with_name("nanio")
    return program if program.exists() else None


def has_ceph() -> bool:
    """Return True if a test can run Ceph, a store that speaks S3: as root."""
    programs = ["ceph", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "openssl"]
    return os.geteuid() == 0 and all(map(shutil.which, programs))


def can_make_namespaces() -> bool:
    """Return True if a test can make a network namespace: as root, with Linux's tools."""
    return os.geteuid() == 0 and all(map(shutil.which, ["ip", "nsenter"]))


def chromium() -> str | None:
    """Return the browser's program; the headless shell takes a third less time."""
    names = ["chromium-headless-shell", "chromium", "chromium-browser"]
    return next(filter(None, map(shutil.which, names)), None)
