"""How much is tried, and the table that says what came of it: TRUST=full is `make trust`."""

import os
from pathlib import Path

import pytest
from django.db import connection

FULL = os.environ.get("TRUST") == "full"
FOLDER = Path(__file__).parent
COLUMNS = ("Promise", "What was tried", "Lost or let through")


def pytest_collection_modifyitems(config, items):
    """The quick suite tries each on its own database; `make trust` on both."""
    if not FULL:
        others = [item for item in items if FOLDER in item.path.parents and is_of_another(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


def is_of_another(item) -> bool:
    """Whether the test brings a database of its own that is not of the suite's kind."""
    own = "sqlite" if connection.vendor == "sqlite" else "postgres"
    chosen = item.callspec.params.get("databases") if hasattr(item, "callspec") else None
    brought = chosen or ("postgres" if "postgres" in item.fixturenames else own)
    return brought != own


@pytest.fixture
def size():
    """`size(short, full)`: how many, in the quick suite and by `make trust`."""
    return lambda short, full: full if FULL else short


@pytest.fixture
def promise(record_property):
    """`promise(what, tried, lost)` puts a line into the table; `lost` must be 0 to have got there."""

    def keep(what, tried, lost):
        record_property("promise", (what, tried, str(lost)))
        assert lost == 0, f"{what}: {tried}, lost {lost}"

    return keep


def pytest_terminal_summary(terminalreporter):
    """The table, in Markdown: SECURITY.md carries that of the last full run."""
    passed = terminalreporter.getreports("passed")
    rows = [
        value for report in passed for name, value in report.user_properties if name == "promise"
    ]
    if not (FULL and rows):
        return
    terminalreporter.section("what was tried")
    for row in (COLUMNS, ("---",) * len(COLUMNS), *rows):
        terminalreporter.write_line(f"| {' | '.join(row)} |")
