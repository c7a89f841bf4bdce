"""Imports run one way, as the tree in CONTRIBUTING.md says."""

import ast

import pytest

from tests.server import ROOT

# Each part may import what stands beside it, and nothing else of ours.
MAY_IMPORT = {
    "contract": set(),
    "logs": set(),
    "keyring": set(),
    "bodies": {"contract"},
    "validators": {"contract"},
    "statements": set(),
    "locks": set(),
    "replica": {"statements"},
    "models": {"contract", "keyring", "locks", "replica", "statements", "validators"},
    "processes": {"locks", "models"},
    "history": {"contract", "models"},
    "batches": {"contract", "history", "models"},
    "groups": set(),
    "sample_configuration": set(),
    "sessions": set(),
    "second_factor": set(),
    "checks": {"models"},
    "apps": {"checks", "groups"},
    "filters": {"models"},
    "forms": {"contract", "validators", "models"},
    "backups": {"keyring", "models", "backups"},
    "health": set(),
    "demo": {"contract", "validators", "models"},
    "middleware": {"bodies", "contract", "logs", "second_factor"},
    "programs": {"logs"},
    "metrics": {"contract", "middleware"},
    "error_reports": {"logs"},
    "admin": {"contract", "keyring", "validators", "models", "history", "filters", "forms"},
    "api": {
        "logs",
        "contract",
        "keyring",
        "validators",
        "statements",
        "replica",
        "models",
        "history",
        "metrics",
        "middleware",
        "programs",
        "api",
    },
    "engines": {
        "logs",
        "contract",
        "keyring",
        "validators",
        "statements",
        "models",
        "programs",
        "engines",
    },
    "csvfiles": {"contract", "keyring", "validators", "models", "history", "batches", "forms"},
    "console": {
        "logs",
        "sample_configuration",
        "contract",
        "statements",
        "keyring",
        "validators",
        "models",
        "history",
        "batches",
        "second_factor",
        "filters",
        "forms",
        "csvfiles",
        "console",
    },
    "reference": {"contract", "sample_configuration", "api", "reference"},
    "management": {
        "contract",
        "keyring",
        "validators",
        "models",
        "forms",
        "backups",
        "health",
        "demo",
        "management",
    },
}
SOURCES = [path for path in (ROOT / "mailboxes").rglob("*.py") if "migrations" not in path.parts]


def imports(path):
    """The parts of `mailboxes` that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module == "mailboxes"
            names = [f"mailboxes.{name.name}" for name in node.names] if whole else [node.module]
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("mailboxes."))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_stands_below_it(path):
    part = path.relative_to(ROOT / "mailboxes").parts[0].removesuffix(".py")
    assert set(imports(path)) <= MAY_IMPORT.get(part, set())


def test_the_settings_import_only_what_imports_nothing():
    assert set(imports(ROOT / "config/settings.py")) == {"contract", "keyring"}
