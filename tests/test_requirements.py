"""A part that is missing skips the tests that need it, and fails them where REQUIRE names it."""

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
def test_missing(monkeypatch, required, outcome):
    monkeypatch.setattr(requirements, "REQUIRED", required)
    with pytest.raises(outcome, match="No browser here"):
        requirements.missing("browser", "No browser here.")
