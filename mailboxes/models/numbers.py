"""Telephone numbers as people type them: with spaces, hyphens and brackets, 00 or + or 0."""

import re
from itertools import groupby

from django.db.models import F, TextField, Value
from django.db.models.functions import Replace

# "(0)" comes first: it is the 0 that is not dialled after the code of a country.
SEPARATORS = ["(0)", " ", "\N{NO-BREAK SPACE}", "-", "\N{EN DASH}", "(", ")", ".", "/"]
WORD = re.compile("[-+()./\N{EN DASH}0-9]+")
LEAST_DIGITS = 3
LONGEST_COUNTRY_CODE = 3


def strip_separators(number: str) -> str:
    for separator in SEPARATORS:
        number = number.replace(separator, "")
    return number


def strip_column(name: str) -> Replace | F:
    """Return the SQL that does with a column what `strip_separators` does with a text."""
    stripped: Replace | F = F(name)
    for separator in SEPARATORS:
        stripped = Replace(stripped, Value(separator), output_field=TextField())
    return stripped


def split_numbers(words: list[str]) -> list[list[str]]:
    """Return the words in groups: successive ones that may be one number, or one other word."""
    groups: list[list[str]] = []
    for is_number, successive in groupby(words, lambda word: WORD.fullmatch(word) is not None):
        found = list(successive)
        groups += [found] if is_number else [[word] for word in found]
    return groups


class Number:
    """A number, or a part of one, to search for.

    `part` are its digits without +, 00 or the 0 of a national number, so that "0171 234" finds
    +49171234. `national` are the national numbers that it may be if it is an international one.
    """

    def __init__(self, words: list[str]):
        typed = strip_separators(" ".join(words))
        self.part = typed.lstrip("+0")
        is_international = typed.startswith(("+", "00"))
        codes = range(1, LONGEST_COUNTRY_CODE + 1) if is_international else ()
        self.national = [f"0{self.part[code:]}" for code in codes]

    @classmethod
    def parse(cls, words: list[str]) -> "Number | None":
        """Return the Number that these words make, or None if they make none."""
        number = cls(words)
        is_number = number.part.isdigit() and len(number.part) >= LEAST_DIGITS
        return number if is_number else None

    def is_in(self, stripped: str) -> bool:
        """Return True if a number without separators contains this one."""
        return self.part in stripped or stripped in self.national
