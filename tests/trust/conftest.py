"""How much is tried, and the table that says what came of it: TRUST=full is `make trust`."""

import os

import pytest

FULL = os.environ.get("TRUST") == "full"
COLUMNS = ("Promise", "What was tried", "Lost or let through")


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
