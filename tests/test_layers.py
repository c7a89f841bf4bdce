"""Imports run one way, from the top of the code tree to its bottom."""

import ast

import pytest

from tests.server import ROOT

# The parts of `mailboxes`, from the bottom up. A part may import itself and those on lines above
# its own; parts on one line never import one another.
LAYERS = [
    {"contract"},
    {
        "audio",
        "db",
        "encryption",
        "own_changes",
        "sample_configuration",
        "storage",
        "temporary_folders",
    },
    {"bucket", "validators"},
    {"models"},
    {"form_fields", "monitoring", "staff"},
    {
        "account_history",
        "backups",
        "checks",
        "demo",
        "demo_calls",
        "filters",
        "forms",
        "history",
        "http",
        "message_changes",
        "purging",
        "sound_history",
        "trimming",
    },
    {"delivery"},
    {"apps", "batches", "conflict"},
    {"csvfiles"},
    {"admin", "api", "console", "engines", "management"},
    {"reference"},
]
SOURCES = [path for path in (ROOT / "mailboxes").rglob("*.py") if "migrations" not in path.parts]


def imports(path):
    """Return the parts of `mailboxes` that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            is_package = node.module == "mailboxes"
            names = (
                [f"mailboxes.{name.name}" for name in node.names] if is_package else [node.module]
            )
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("mailboxes."))


def test_every_module_and_folder_has_a_layer():
    parts = {path.relative_to(ROOT / "mailboxes").parts[0].removesuffix(".py") for path in SOURCES}
    assert parts == {"__init__"}.union(*LAYERS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_imports_only_lower_layers(path):
    part = path.relative_to(ROOT / "mailboxes").parts[0].removesuffix(".py")
    allowed = {part}
    for layer in LAYERS:
        if part in layer:
            break
        allowed |= layer
    assert set(imports(path)) <= allowed


def test_settings_import_only_modules_that_import_nothing_of_ours():
    assert set(imports(ROOT / "config/settings.py")) == {"contract", "encryption"}
