"""Find vulnerable dependencies, unsafe code and committed secrets, for `make audit`.

`python -m tests.audit` exits with status 1 if it finds something.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.server import ROOT

PROGRAMS = Path(sys.executable).parent
LOCKS = ["requirements/run.txt", "requirements/dev.txt"]
# Placeholders in examples and tests, and a part of the API page's example of a UUID.
NO_SECRETS = "^(password|s3cret|63e54af807b5)$"


def run_checker(program, *arguments) -> subprocess.CompletedProcess:
    """Run a checker that exits with 0 or 1. Raise SystemExit with its error otherwise."""
    command = [PROGRAMS / program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    return done


def git(*arguments) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    return done.stdout.decode(errors="replace")


def find_vulnerabilities(lock) -> list[str]:
    """Return the known vulnerabilities, or none if their database is unreachable."""
    done = run_checker(
        "pip-audit", "--disable-pip", "--require-hashes", "--format=json", "-r", lock
    )
    packages = json.loads(done.stdout)["dependencies"] if done.stdout else []
    checked = [package for package in packages if "vulns" in package]
    if not checked:
        print(f"The database of vulnerabilities is unreachable: {lock} was not checked.")
    return [
        f"{lock}: {package['name']} {package['version']} has {vulnerability['id']}"
        for package in checked
        for vulnerability in package["vulns"]
    ]


def find_unsafe_code() -> list[str]:
    """Return the findings of ruff's security rules, which leave out the tests."""
    found = run_checker("ruff", "check", "--select=S", "--output-format=concise", "--quiet")
    return found.stdout.splitlines()


def find_secrets() -> list[str]:
    """Return the places of secrets in the committed files and in the whole history."""
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder) / "history"
        history.write_text(git("log", "--all", "--patch", "--unified=0", "--no-color"))
        files = [*git("ls-files", "-z").rstrip("\0").split("\0"), str(history)]
        known = ["--disable-plugin=KeywordDetector", f"--exclude-secrets={NO_SECRETS}"]
        found = run_checker("detect-secrets-hook", *known, *files)
    return [line for line in found.stdout.splitlines() if line.startswith(("Secret", "Location"))]


def main() -> int:
    found = [
        *(vulnerability for lock in LOCKS for vulnerability in find_vulnerabilities(lock)),
        *find_unsafe_code(),
        *find_secrets(),
    ]
    print("\n".join(found) or "Nothing was found.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
