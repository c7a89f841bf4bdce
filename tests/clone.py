"""A copy of the project as a new clone has it, and shell scripts run in it."""

import os
import shutil
import subprocess

from tests.server import ROOT

IGNORED = (".git", ".env", ".venv*", "var", "__pycache__", ".*_cache")


def clone(folder):
    """Copy the project to the folder, without keys, data and collected files."""
    return shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*IGNORED))


def environment() -> dict:
    """Return the environment of a new user: none of the tests' settings."""
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def run_script(script, folder, **variables) -> str:
    """Run a shell script that stops at its first error, and return what it printed."""
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=folder,
        env=environment() | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
