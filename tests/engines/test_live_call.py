"""Real calls to a real Asterisk: tests/engines/live_call.py has the scenes."""

import os
import subprocess
import sys

import pytest

from tests import requirements
from tests.engines.exchange import KIT_FILES, fetch_asterisk, find_fault
from tests.engines.live_call import SCENES
from tests.server import ROOT


@pytest.fixture
def kit():
    kit = requirements.asterisk_kit()
    if fault := find_fault(kit):
        requirements.skip_or_fail("asterisk", fault)
    try:
        fetch_asterisk(kit)
    except subprocess.CalledProcessError:
        requirements.skip_or_fail("asterisk", "Asterisk's programs cannot be fetched.")
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode != 0:
        requirements.skip_or_fail(
            "asterisk", "This machine cannot make a network namespace for the calls."
        )


def call_with_kit(kit):
    """Run what `make call` runs."""
    command = [sys.executable, "-m", "tests.engines.live_call"]
    environment = os.environ | {"ASTERISK_KIT": str(kit)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_wrong_folder_of_a_kit_is_named_in_one_line(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        done = call_with_kit(folder)
        reason = "which is no kit for Asterisk: it lacks get.sh, start.sh, call.py."
        assert (done.stdout, done.stderr) == ("", f"ASTERISK_KIT is {folder}, {reason}\n")
        assert done.returncode != 0


def test_kit_that_cannot_fetch_asterisk_says_so(tmp_path):
    for name in KIT_FILES:
        (tmp_path / name).write_text("echo no disk space >&2; exit 3\n")
    done = call_with_kit(tmp_path)
    assert "no disk space\nAsterisk's programs cannot be fetched: get.sh" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_mailbox_made_by_the_api_answers_real_calls(kit):
    command = [sys.executable, "-m", "tests.engines.live_call"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [scene.__doc__ for scene in SCENES if scene.__doc__ not in done.stdout] == []
