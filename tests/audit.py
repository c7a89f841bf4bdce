"""What `make audit` looks for: dependencies with known holes, unsafe code, secrets that were committed.

python -m tests.audit      exits with 1 if anything was found
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.server import ROOT

PROGRAMS = Path(sys.executable).parent
LOCKS = ["requirements/run.txt", "requirements/dev.txt"]
# The word that stands for one in examples, and a part of the page's own example of a uuid.
NO_SECRETS = "^(password|63e54af807b5)$"


def run(program, *arguments) -> subprocess.CompletedProcess:
    """What the program found. Raises SystemExit with what it says where it could not look."""
    command = [PROGRAMS / program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    return done


def git(*arguments) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    return done.stdout.decode(errors="replace")


def dependencies(lock) -> list[str]:
    """The known holes of what is locked; nothing where the database of them is out of reach."""
    done = run("pip-audit", "--disable-pip", "--require-hashes", "--format=json", "-r", lock)
    told = json.loads(done.stdout)["dependencies"] if done.stdout else []
    looked_up = [package for package in told if "vulns" in package]
    if not looked_up:
        print(f"The database of known holes is out of reach: {lock} was not held against it.")
    return [
        f"{lock}: {package['name']} {package['version']} has {hole['id']}"
        for package in looked_up
        for hole in package["vulns"]
    ]


def code() -> list[str]:
    """What ruff's security rules say of it; tests have no callers to be safe from."""
    found = run("ruff", "check", "--select=S", "--output-format=concise", "--quiet")
    return found.stdout.splitlines()


def secrets() -> list[str]:
    """Where a key, a token or the like stands: in a file that git keeps, or in any change since the first."""
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder) / "history"
        history.write_text(git("log", "--all", "--patch", "--unified=0", "--no-color"))
        files = [*git("ls-files", "-z").rstrip("\0").split("\0"), str(history)]
        known = ["--disable-plugin=KeywordDetector", f"--exclude-secrets={NO_SECRETS}"]
        found = run("detect-secrets-hook", *known, *files)
    return [line for line in found.stdout.splitlines() if line.startswith(("Secret", "Location"))]


def main() -> int:
    found = [*(hole for lock in LOCKS for hole in dependencies(lock)), *code(), *secrets()]
    print("\n".join(found) or "Nothing was found.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
