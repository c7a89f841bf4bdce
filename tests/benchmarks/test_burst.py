"""A small burst of messages, through all parts of `make burst`."""

import os
import subprocess
import sys

import pytest

from tests.server import ROOT

COMMAND = [sys.executable, "-m", "tests.benchmarks.burst"]


@pytest.mark.long
def test_burst_of_three_messages_is_mailed_and_measured():
    environment = os.environ | {"MESSAGES": "3", "DATABASE": "sqlite"}
    done = subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    assert "The last mail was out" in done.stdout
    assert "| before | 10 |" in done.stdout


@pytest.mark.long
def test_unknown_database_is_named():
    environment = os.environ | {"DATABASE": "oracle"}
    done = subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stderr.startswith("DATABASE is 'oracle'. Possible here: sqlite")
