"""Export of mailboxes to CSV."""

import json
from collections.abc import Iterator
from contextlib import suppress

from django.contrib.admin.models import CHANGE, LogEntry

from mailboxes import batches
from mailboxes.batches import chunks
from mailboxes.csvfiles.rows import BOM, COLUMNS, format_cells, format_rows
from mailboxes.encryption import UnknownKeyError
from mailboxes.history import EXPORTED


def export_rows(mailboxes, *, pass_codes_for=None, delimiter=",") -> Iterator[str]:
    """Yield a CSV file of the mailboxes, as texts of many rows each.

    It has pass codes only with `pass_codes_for`, a user. Each pass code is logged in the admin
    log for that user before it is yielded.
    """
    columns = [column for column in COLUMNS if pass_codes_for or column != "password"]
    yield BOM + format_rows([columns], delimiter)
    mailboxes = mailboxes.select_related("account").with_address_lists()
    for chunk in chunks(mailboxes.iterator(chunk_size=batches.CHUNK_SIZE)):
        if pass_codes_for:
            exposed = [mailbox for mailbox in chunk if mailbox.password_sealed]
            LogEntry.objects.log_actions(pass_codes_for.pk, exposed, CHANGE, EXPORTED)
        rows = (format_row(mailbox, with_pass_code=bool(pass_codes_for)) for mailbox in chunk)
        yield format_rows(([row[column] for column in columns] for row in rows), delimiter)


def format_row(mailbox, with_pass_code: bool) -> dict[str, str]:
    """Return the mailbox's cells. A pass code that no key decrypts stays masked."""
    cells = format_cells(mailbox, json.loads(mailbox.address_list))
    if with_pass_code:
        with suppress(UnknownKeyError):
            cells["password"] = mailbox.password or ""
    return cells
