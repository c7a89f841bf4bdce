"""Sizes of the tests, and the table of results. `make trust` sets TRUST=full."""

import os
from pathlib import Path

import pytest
from django.db import connection

FULL = os.environ.get("TRUST") == "full"
FOLDER = Path(__file__).parent
COLUMNS = ("Promise", "What was tried", "Lost or let through")


def pytest_collection_modifyitems(config, items):
    """Run each test on the suite's own kind of database only, unless `make trust` runs both."""
    if not FULL:
        others = [item for item in items if FOLDER in item.path.parents and uses_other_kind(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


def uses_other_kind(item) -> bool:
    """Return True if the test starts a database of another kind than the suite's own."""
    own = "sqlite" if connection.vendor == "sqlite" else "postgres"
    parameter = item.callspec.params.get("databases") if hasattr(item, "callspec") else None
    used = parameter or ("postgres" if "postgres" in item.fixturenames else own)
    return used != own


@pytest.fixture
def size():
    """`size(short, full)` returns `full` for `make trust`, otherwise `short`."""
    return lambda short, full: full if FULL else short


@pytest.fixture
def promise(record_property):
    """`promise(title, tried, lost)` adds a row to the table, and fails unless `lost` is 0."""

    def add_row(title, tried, lost):
        record_property("promise", (title, tried, str(lost)))
        assert lost == 0, f"{title}: {tried}, lost {lost}"

    return add_row


def pytest_terminal_summary(terminalreporter):
    """Print the table in Markdown. SECURITY.md contains the one of the last full run."""
    passed = terminalreporter.getreports("passed")
    rows = [
        value for report in passed for name, value in report.user_properties if name == "promise"
    ]
    if not (FULL and rows):
        return
    terminalreporter.section("what was tried")
    for row in (COLUMNS, ("---",) * len(COLUMNS), *rows):
        terminalreporter.write_line(f"| {' | '.join(row)} |")
