"""Reports on a staged import: its errors and its changes."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from django.utils.translation import gettext as _

from mailboxes.batches import chunks
from mailboxes.csvfiles.rows import BOM, FIXED, addresses_of, cells_of, format_rows, mask_pass_code
from mailboxes.models import ImportRow, Mailbox


class CellError(NamedTuple):
    """What is wrong in a cell, or lacking."""

    number: int
    column: str
    cell: str
    error: str


def list_errors(rows: Iterable[ImportRow]) -> Iterator[CellError]:
    """Each thing that is wrong in these rows, pass codes masked."""
    for row in rows:
        given = row.cells
        for column, errors in row.errors.items():
            cell = mask_pass_code(column, given.get(column, ""))
            yield from (CellError(row.number, column, cell, error) for error in errors)


def export_errors(rows: Iterable[ImportRow]) -> Iterator[str]:
    """The same as the text of a file."""
    yield BOM + format_rows([[_("Row"), _("Column"), _("Cell"), _("What is wrong")]])
    for some in chunks(list_errors(rows)):
        yield format_rows([str(fault.number), *fault[1:]] for fault in some)


class RowChange(NamedTuple):
    """What a row does to a mailbox that exists or not: column by column, from what, to what."""

    number: int
    name: str
    account: str
    exists: bool
    changes: list[tuple[str, str, str]]


def list_changes(rows: Iterable[ImportRow]) -> Iterator[RowChange]:
    """What each of these rows does, pass codes masked; in two queries."""
    found = Mailbox.objects.select_related("account").prefetch_related("email_recipients")
    mailboxes = found.in_bulk([row.mailbox_uuid for row in rows])
    for row in rows:
        mailbox = mailboxes.get(row.mailbox_uuid)
        before = cells_of(mailbox, addresses_of(mailbox)) if mailbox else {}
        after = before | row.cells
        # A new mailbox has nothing before it; its name and account are told anyway.
        told = [column for column in after if mailbox or column not in (*FIXED, "name")]
        changes = [
            (
                column,
                mask_pass_code(column, before.get(column, "")),
                mask_pass_code(column, after[column]),
            )
            for column in told
            if after[column] != before.get(column, "")
        ]
        yield RowChange(row.number, after["name"], after["account"], mailbox is not None, changes)
