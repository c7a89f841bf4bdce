"""Rows of a CSV file: encoding, delimiter, column names and cells."""

import csv
import io
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import TextIO

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from mailboxes.csvfiles.rows import COLUMNS, IGNORED_IF_EMPTY, unescape_formula

MAX_ROWS = 100_000
MAX_ROW_BYTES = 20_000  # 50 long recipients have 13,000
MAX_HEADER_ERRORS = 10
DELIMITERS = ",;\t"
# The first bytes of .xlsx and .ods, which are ZIP files, and of .xls.
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# A first line for Excel, which does not show it as a row.
SEPARATOR_LINE = re.compile(r'"?sep=([,;:|\t])"?\s*', re.IGNORECASE)


class TooLongRowError(Exception):
    """A row has more than MAX_ROW_BYTES."""


class Lines:
    """An iterator over a file's lines that limits the length of a row, and the number of rows.

    The CSV parser would read any row into memory: a long line, or many lines if a quotation mark
    is missing. Call `end_row` at the end of each row.
    """

    def __init__(self, text: TextIO):
        self.text, self.rows, self.row_bytes = text, 0, 0

    def __iter__(self):
        return self

    def __next__(self) -> str:
        line = self.text.readline(MAX_ROW_BYTES + 1)
        self.row_bytes += len(line.encode())
        if self.row_bytes > MAX_ROW_BYTES:
            raise TooLongRowError
        if not line:
            raise StopIteration
        return line

    def end_row(self) -> None:
        self.rows += 1
        self.row_bytes = 0
        if self.rows > MAX_ROWS + 1:
            raise ValidationError(
                _("The file has more than %(most)s rows: split it into smaller files."),
                params={"most": f"{MAX_ROWS:,}"},
            )

    def read_header(self) -> tuple[str, str]:
        """Return the first line that is not blank, and the delimiter of its cells."""
        line = next(self, "")
        separator = SEPARATOR_LINE.fullmatch(line)
        if separator:
            self.row_bytes = 0
            line = next(self, "")
        while line and not line.strip(f"{DELIMITERS} \r\n"):
            self.end_row()
            line = next(self, "")
        return line, separator[1] if separator else max(DELIMITERS, key=line.count)


def parse_rows(file) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield number and cells of each row below the column names. Raises ValidationError.

    Rows are numbered as in a spreadsheet, blank ones too.
    """
    start = file.read(4)
    file.seek(0)
    if start in WORKBOOKS:
        raise ValidationError(
            _("This is a workbook of a spreadsheet, not a CSV file: save it as “CSV UTF-8” there.")
        )
    is_utf_16 = start[:2] in (BOM_UTF16_LE, BOM_UTF16_BE)  # "Unicode text" of Excel
    text = io.TextIOWrapper(file, encoding="utf-16" if is_utf_16 else "utf-8-sig", newline="")
    lines = Lines(text)
    try:
        header, delimiter = lines.read_header()
        rows = csv.reader(chain([header], lines), delimiter=delimiter, strict=True)
        columns = parse_header(next(rows, []))
        lines.end_row()
        for row in rows:
            lines.end_row()
            if any(map(str.strip, row)):
                yield lines.rows, parse_cells(columns, row)
    except UnicodeError:
        raise ValidationError(
            _("The file is not in UTF-8: save it as “CSV UTF-8” in your spreadsheet.")
        ) from None
    except TooLongRowError:
        raise ValidationError(
            _(
                "Row %(number)s has more than %(most)s bytes: shorten it, or add the quotation mark "
                "that is missing."
            ),
            params={"number": lines.rows + 1, "most": f"{MAX_ROW_BYTES:,}"},
        ) from None
    except csv.Error:
        raise ValidationError(
            _("Row %(number)s has an unexpected quotation mark, or one is missing."),
            params={"number": lines.rows + 1},
        ) from None
    finally:
        text.detach()


def parse_header(row: list[str]) -> list[str]:
    """Return the column names; some are empty. Raises ValidationError naming each wrong one."""
    columns = [name.strip().lower() for name in row]
    if not any(columns):
        raise ValidationError(_("The file is empty: its first row must have the column names."))
    errors = []
    for position, column in enumerate(columns):
        if column and column not in COLUMNS:
            errors.append(_("“%(column)s” is not a known column.") % {"column": column[:100]})
        elif column and column in columns[:position]:
            errors.append(_("The column “%(column)s” appears twice.") % {"column": column})
        if len(errors) == MAX_HEADER_ERRORS:
            break  # an unrelated file may have any number of columns
    if errors:
        errors.append(_("Use these columns: %(columns)s.") % {"columns": ", ".join(COLUMNS)})
        raise ValidationError(errors)
    return columns


def parse_cells(columns: list[str], row: list[str]) -> dict[str, str]:
    """Return the cells by column, and the first cell in a column without a name.

    Spreadsheets leave out empty cells at the end of a row, and may add empty columns.
    """
    cells: dict[str, str] = {}
    unnamed: dict[str, str] = {}
    for position, (column, cell) in enumerate(zip_longest(columns, row, fillvalue=""), start=1):
        if column:
            cells[column] = unescape_formula(cell)
        elif cell.strip() and not unnamed:
            unnamed[_("column %(position)s") % {"position": position}] = cell
    for column in cells.keys() - {"name"}:  # the form trims a changed name
        cells[column] = cells[column].strip()
    for column in IGNORED_IF_EMPTY & cells.keys():
        if not cells[column]:
            del cells[column]
    return cells | unnamed
