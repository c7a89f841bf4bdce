"""Reports on a staged import: its errors and its changes."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from django.utils.translation import gettext as _

from mailboxes.batches import chunks
from mailboxes.csvfiles.rows import (
    BOM,
    FIXED,
    format_cells,
    format_rows,
    list_addresses,
    mask_pass_code,
)
from mailboxes.models import ImportRow, Mailbox

MAX_CELL_LENGTH = 200  # characters; a longer cell is cut: it is repeated for each of its errors


class CellError(NamedTuple):
    """An error in a cell or a missing column."""

    number: int
    column: str
    cell: str
    error: str


def list_errors(rows: Iterable[ImportRow]) -> Iterator[CellError]:
    for row in rows:
        cells = row.cells
        for column, errors in row.errors.items():
            cell = shorten(mask_pass_code(column, cells.get(column, "")))
            yield from (CellError(row.number, column, cell, error) for error in errors)


def shorten(cell: str) -> str:
    return cell if len(cell) <= MAX_CELL_LENGTH else f"{cell[:MAX_CELL_LENGTH]}…"


def export_errors(rows: Iterable[ImportRow]) -> Iterator[str]:
    yield BOM + format_rows([[_("Row"), _("Column"), _("Cell"), _("What is wrong")]])
    for chunk in chunks(list_errors(rows)):
        yield format_rows([str(error.number), *error[1:]] for error in chunk)


class RowChange(NamedTuple):
    """The effect of a row on its mailbox. Each change is column, old text and new text."""

    number: int
    name: str
    account: str
    exists: bool
    changes: list[tuple[str, str, str]]
    warnings: dict[str, list[str]]  # by column


def list_changes(rows: Iterable[ImportRow]) -> Iterator[RowChange]:
    """Yield what each row changes in its mailbox, pass codes masked; two queries in all."""
    found = Mailbox.objects.select_related("account").prefetch_related("email_recipients")
    mailboxes = found.in_bulk([row.mailbox_uuid for row in rows])
    for row in rows:
        mailbox = mailboxes.get(row.mailbox_uuid)
        before = format_cells(mailbox, list_addresses(mailbox)) if mailbox else {}
        after = before | row.cells
        # The name and account of a new mailbox are shown separately.
        columns = [column for column in after if mailbox or column not in (*FIXED, "name")]
        changes = [
            (column, before.get(column, ""), mask_pass_code(column, after[column]))
            for column in columns
            if after[column] != before.get(column, "")
        ]
        yield RowChange(
            row.number, after["name"], after["account"], mailbox is not None, changes, row.errors
        )
