"""Parts of the machine that some tests need: PostgreSQL's programs, a browser, a real Asterisk.

A test whose part is missing is skipped with a reason in words; REQUIRE=postgres,browser
turns such a skip into a failure.
"""

import os
import shutil
from pathlib import Path

import pytest

REQUIRED = {part for part in os.environ.get("REQUIRE", "").split(",") if part}


def missing(part: str, reason: str):
    """Skip the test that asks, or fail it where this part is required."""
    if part in REQUIRED:
        pytest.fail(f"{reason} REQUIRE asks for it.", pytrace=False)
    pytest.skip(reason)


def postgres_programs() -> Path | None:
    """The folder of initdb and pg_ctl: Debian keeps them off the PATH."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def asterisk_kit() -> Path | None:
    """The folder that ASTERISK_KIT names: get.sh fetches a real Asterisk, start.sh runs it, call.py is a phone."""
    kit = os.environ.get("ASTERISK_KIT")
    return Path(kit).resolve() if kit else None


def can_have_hosts() -> bool:
    """Whether a test may make a host that only the network knows: who is root, with Linux's tools, may."""
    return os.geteuid() == 0 and all(map(shutil.which, ["ip", "nsenter"]))


def chromium() -> str | None:
    """The browser's program; without its window's parts, where Debian has it so, it takes a third less."""
    names = ["chromium-headless-shell", "chromium", "chromium-browser"]
    return next(filter(None, map(shutil.which, names)), None)
