"""The page of failed tasks is translated: see test_translation.py."""

import pytest

from tests.console.test_translation import (  # noqa: F401
    _marked_lookups,
    assert_translated,
    sign_in_with_digits,
    values,
)
from tests.delivery.running import fail_task


@pytest.mark.parametrize("path", ["/jobs/again/", "/jobs/{row}/again/"])
def test_page_of_failed_tasks_is_translated(values, path):  # noqa: F811
    row = fail_task(str(values["full"]))
    fail_task(error="builtins.ValueError")
    manager = sign_in_with_digits("Manager")
    assert_translated(manager.get("/jobs/"))
    for _ in range(2):
        assert_translated(manager.post(path.format(row=row.pk), follow=True))
