"""Real calls to a real Asterisk: tests/engines/live_call.py has the scenes."""

import subprocess
import sys

import pytest

from tests import requirements
from tests.engines.exchange import NO_KIT, fetch_asterisk
from tests.engines.live_call import SCENES
from tests.server import ROOT


@pytest.fixture
def kit():
    kit = requirements.asterisk_kit()
    if kit is None:
        requirements.skip_or_fail("asterisk", NO_KIT)
    try:
        fetch_asterisk(kit)
    except subprocess.CalledProcessError:
        requirements.skip_or_fail("asterisk", "Asterisk's programs cannot be fetched.")
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode != 0:
        requirements.skip_or_fail(
            "asterisk", "This machine cannot make a network namespace for the calls."
        )


@pytest.mark.long
def test_mailbox_made_by_the_api_answers_real_calls(kit):
    command = [sys.executable, "-m", "tests.engines.live_call"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [scene.__doc__ for scene in SCENES if scene.__doc__ not in done.stdout] == []
