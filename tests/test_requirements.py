"""A missing program skips a test, or fails it if REQUIRE has it."""

import pytest

from tests import requirements


@pytest.mark.parametrize(
    ("required", "outcome"),
    [
        (set(), pytest.skip.Exception),
        ({"postgres"}, pytest.skip.Exception),
        ({"postgres", "browser"}, pytest.fail.Exception),
    ],
)
def test_missing_program_skips_or_fails_the_test(monkeypatch, required, outcome):
    monkeypatch.setattr(requirements, "REQUIRED", required)
    with pytest.raises(outcome, match="No browser here"):
        requirements.skip_or_fail("browser", "No browser here.")
