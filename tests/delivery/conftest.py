"""Fixtures of the tests of tasks."""

import pytest


@pytest.fixture
def path(tmp_path):
    """The file that the tasks of tests write to."""
    return str(tmp_path / "lines")
