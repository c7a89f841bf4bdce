"""Accounts of the reference model, and the marks by which their data is found."""

import re
from collections.abc import Iterator

RESELLER_OF = {
    "north": None,
    "north.shop": "north",
    "north.shop.desk": "north.shop",
    "south": None,
    "south.shop": "south",
    "alone": None,
}
ACCOUNTS = list(RESELLER_OF)
# The names and addresses of an account's mailboxes begin with its mark, and its pass codes with
# its digit, so each value shows its owner.
MARKS = dict(zip(ACCOUNTS, ["zqa", "zqb", "zqc", "zqd", "zqe", "zqf"], strict=True))
DIGITS = dict(zip(ACCOUNTS, "345678", strict=True))


def iterate_resellers(account) -> Iterator[str]:
    """Yield the accounts that may act for this one: its reseller, and those further up."""
    while account := RESELLER_OF.get(account):
        yield account


def contains_pass_code_of(accounts, text) -> bool:
    """Return True if the text has four digits on their own that are a pass code of an account."""
    digits = "".join(DIGITS[account] for account in accounts)
    return re.search(rf"(?<![\w.-])[{digits}]\d{{3}}(?![\w.-])", text) is not None
