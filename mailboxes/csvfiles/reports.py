"""Reports on a staged import: its errors and its changes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

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
from mailboxes.models.sounds import name_greetings

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


def show_cell(column: str, text: str, greetings: dict) -> str:
    """Return the cell's text, with a mask for a pass code, and the name of a greeting."""
    if column == "greeting" and text:
        return greetings[UUID(text)]
    return mask_pass_code(column, text)


def list_changes(rows: Sequence[ImportRow]) -> Iterator[RowChange]:
    """Yield what each row changes in its mailbox, pass codes masked; three queries in all."""
    found = Mailbox.objects.select_related("account").prefetch_related("email_recipients")
    mailboxes = found.in_bulk([row.mailbox_uuid for row in rows])
    cells_of_rows = [row.cells for row in rows]
    texts = [cells.get("greeting") for cells in cells_of_rows]
    texts += [str(mailbox.greeting) for mailbox in mailboxes.values() if mailbox.greeting]
    names = name_greetings([UUID(text) for text in texts if text])
    for row, cells in zip(rows, cells_of_rows, strict=True):
        mailbox = mailboxes.get(row.mailbox_uuid)
        before = format_cells(mailbox, list_addresses(mailbox)) if mailbox else {}
        after = before | cells
        # The name and account of a new mailbox are shown separately.
        columns = [column for column in after if mailbox or column not in (*FIXED, "name")]
        changes = [
            (
                column,
                show_cell(column, before.get(column, ""), names),
                show_cell(column, after[column], names),
            )
            for column in columns
            if after[column] != before.get(column, "")
        ]
        yield RowChange(
            row.number, after["name"], after["account"], mailbox is not None, changes, row.errors
        )
