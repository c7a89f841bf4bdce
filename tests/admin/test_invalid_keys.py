"""Forms of the admin with a value that cannot be a key."""

import pytest

from tests.admin.browser import get_errors

INVALID_KEYS = ["x", " ", "1.5", "-1", "\0", "9" * 40, "²", "[]", "acme"]


@pytest.mark.parametrize("key", INVALID_KEYS)
@pytest.mark.parametrize(
    ("page", "field"),
    [
        ("mailbox_add", "account"),
        ("account_add", "reseller"),
        ("apicredential_add", "account"),
        ("emailrecipient_add", "mailbox"),
    ],
)
def test_invalid_key_is_refused_at_its_field(staff, page, field, key):
    answer = staff.save(page, **{field: key})
    assert field in get_errors(answer)
