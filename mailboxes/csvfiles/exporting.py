"""Export of mailboxes to CSV."""

from collections.abc import Iterator

from django.contrib.admin.models import CHANGE, LogEntry

from mailboxes import batches
from mailboxes.batches import chunks
from mailboxes.csvfiles.rows import BOM, COLUMNS, addresses_of, cells_of, format_rows
from mailboxes.history import EXPORTED


def export_rows(mailboxes, *, pass_codes_for=None, delimiter=",") -> Iterator[str]:
    """The mailboxes as the text of a file, some hundreds of rows at a time.

    Pass codes are in it only for a user who asked for them, and whose are is written in the
    admin's log before they are handed out.
    """
    columns = [column for column in COLUMNS if pass_codes_for or column != "password"]
    yield BOM + format_rows([columns], delimiter)
    mailboxes = mailboxes.select_related("account").prefetch_related("email_recipients")
    for some in chunks(mailboxes.iterator(chunk_size=batches.CHUNK_SIZE)):
        if pass_codes_for:
            told = [mailbox for mailbox in some if mailbox.password_sealed]
            LogEntry.objects.log_actions(pass_codes_for.pk, told, CHANGE, EXPORTED)
        rows = (cells_of(mailbox, addresses_of(mailbox)) for mailbox in some)
        yield format_rows(([row[column] for column in columns] for row in rows), delimiter)
