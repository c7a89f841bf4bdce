"""A part that is missing skips the tests that need it, and fails them where REQUIRE names it."""

import pytest

from tests import parts


@pytest.mark.parametrize(
    ("required", "outcome"),
    [
        (set(), pytest.skip.Exception),
        ({"postgres"}, pytest.skip.Exception),
        ({"postgres", "browser"}, pytest.fail.Exception),
    ],
)
def test_missing(monkeypatch, required, outcome):
    monkeypatch.setattr(parts, "REQUIRED", required)
    with pytest.raises(outcome, match="No browser here"):
        parts.missing("browser", "No browser here.")
