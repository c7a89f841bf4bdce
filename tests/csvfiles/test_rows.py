"""Cells of a CSV row: formulas are escaped, and each text is read back as it was written."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.csvfiles.rows import escape_formula, format_rows, unescape_formula
from mailboxes.models import Mailbox
from tests.csvfiles.files import import_text

TRICKY = st.sampled_from("=+-@'\"0123456789;, \t")


@given(st.text(st.one_of(TRICKY, st.characters(exclude_categories=["Cs"]))))
def test_escaped_cell_is_read_back(text):
    assert unescape_formula(escape_formula(text)) == text


@given(st.text(TRICKY))
def test_escaped_cell_starts_no_formula(text):
    assert not escape_formula(text).startswith(tuple("=+-@\t\r\n"))


@given(st.text(TRICKY))
def test_escaped_cell_starts_no_formula_after_another_separator(text):
    """A spreadsheet's separator depends on its language, whatever that of the file is."""
    for mark, other in (",;", ";,", ",\t"):
        parts = csv.reader([format_rows([["Sales", text]], mark)], delimiter=other)
        cells = [cell for row in parts for cell in row]
        assert not any(cell.startswith(tuple("=+-@")) for cell in cells)


@pytest.mark.parametrize("cell", ["a;=1+1;b", 'a,"=1"', "a\t@SUM(1)", "a;;-1", "a;'=1"])
def test_formula_after_a_separator_gets_an_apostrophe(cell):
    escaped = escape_formula(cell)
    assert escaped.count("'") == cell.count("'") + 1
    assert unescape_formula(escaped) == cell


ALTERED = """
    =1+1 +44 -1 @SUM 0830 004420123456 1.10 1E5 2-3 1/2 007.5 0.5 .5 1,10 2.5E-3 1'000 12:30 9am 50%
    $5 (12) 5- 24/7 Mar-24 SEPT2 true FALSE Wahr falsch vrai faux verdadero falso Vero waar onwaar
"""
WITH_BLANKS = ["\tx", "\rx", "1\u202f000", "5 €", "1 1/2", "12:30 PM", "Jan 5", "5. May 2024"]


@pytest.mark.parametrize("cell", [*ALTERED.split(), *WITH_BLANKS])
def test_cell_that_a_spreadsheet_would_alter_gets_an_apostrophe(cell):
    assert escape_formula(cell) == f"'{cell}"
    assert unescape_formula(f"'{cell}") == cell


@pytest.mark.parametrize(
    "cell", ["Sales", "'t Hof", "1374", "0", "Box 77", "1st", "Mayor 1", " =1", "a; -b@c.cc", ""]
)
def test_plain_cell_is_unchanged(cell):
    assert escape_formula(cell) == unescape_formula(cell) == cell


YES_WORDS = "yes YES y Y true TRUE t on 1 ja Ja WAHR oui VRAI sí Si VERDADERO sì VERO WAAR".split()


@pytest.mark.parametrize("word", [*YES_WORDS, " Yes "])
def test_words_for_yes_are_accepted(rosa, account, word):
    import_text(rosa, f"account,name,transcribe\nacme,New,{word}\n")
    assert Mailbox.objects.get().transcribe is True


NO_WORDS = "no No n N false f off 0 nein FALSCH non FAUX FALSO nee ONWAAR".split()


@pytest.mark.parametrize("word", NO_WORDS)
def test_words_for_no_are_accepted(rosa, account, word):
    import_text(rosa, f"account,name,beep\nacme,New,{word}\n")
    assert Mailbox.objects.get().beep is False
