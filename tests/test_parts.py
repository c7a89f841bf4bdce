"""A part that is missing skips the tests that need it, and fails them where REQUIRE names it."""

import os
import subprocess
import sys

import pytest

from tests.server import ROOT

ASKS = "from tests import parts\n\ndef test_asks():\n    parts.missing('browser', 'No browser here.')\n"


@pytest.mark.parametrize(
    ("required", "outcome"), [("", "1 skipped"), ("postgres", "1 skipped"), ("browser", "1 failed")]
)
def test_missing(tmp_path, required, outcome):
    (tmp_path / "test_asks.py").write_text(ASKS)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-ra",
            "-p",
            "no:cacheprovider",
            f"--rootdir={ROOT}",
            tmp_path,
        ],
        cwd=ROOT,
        env=os.environ | {"REQUIRE": required},
        capture_output=True,
        text=True,
    )
    assert outcome in done.stdout
    assert "No browser here." in done.stdout
