"""Reports on a staged import: its errors and its changes."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from django.utils.translation import gettext as _

from mailboxes.batches import chunks
from mailboxes.csvfiles.rows import BOM, FIXED, addresses_of, cells, lines, shown
from mailboxes.models import ImportRow, Mailbox


class Fault(NamedTuple):
    """What is wrong in a cell, or lacking."""

    number: int
    column: str
    cell: str
    error: str


def faults(rows: Iterable[ImportRow]) -> Iterator[Fault]:
    """Each thing that is wrong in these rows, pass codes masked."""
    for row in rows:
        given = row.cells
        for column, errors in row.errors.items():
            cell = shown(column, given.get(column, ""))
            yield from (Fault(row.number, column, cell, error) for error in errors)


def export_faults(rows: Iterable[ImportRow]) -> Iterator[str]:
    """The same as the text of a file."""
    yield BOM + lines([[_("Row"), _("Column"), _("Cell"), _("What is wrong")]])
    for some in chunks(faults(rows)):
        yield lines([str(fault.number), *fault[1:]] for fault in some)


class Step(NamedTuple):
    """What a row does to a mailbox that exists or not: column by column, from what, to what."""

    number: int
    name: str
    account: str
    exists: bool
    changes: list[tuple[str, str, str]]


def steps(rows: Iterable[ImportRow]) -> Iterator[Step]:
    """What each of these rows does, pass codes masked; in two queries."""
    found = Mailbox.objects.select_related("account").prefetch_related("email_recipients")
    mailboxes = found.in_bulk([row.mailbox_uuid for row in rows])
    for row in rows:
        mailbox = mailboxes.get(row.mailbox_uuid)
        before = cells(mailbox, addresses_of(mailbox)) if mailbox else {}
        after = before | row.cells
        # A new mailbox has nothing before it; its name and account are told anyway.
        told = [column for column in after if mailbox or column not in (*FIXED, "name")]
        changes = [
            (column, shown(column, before.get(column, "")), shown(column, after[column]))
            for column in told
            if after[column] != before.get(column, "")
        ]
        yield Step(row.number, after["name"], after["account"], mailbox is not None, changes)
