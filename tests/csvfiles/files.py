"""Export, read, check and import CSV files."""

import csv
import io

from mailboxes.csvfiles import exporting, importing
from mailboxes.models import Import, ImportRow, Mailbox


def export_file(mailboxes=None, **options) -> bytes:
    """Export these mailboxes, or all."""
    mailboxes = Mailbox.objects.all() if mailboxes is None else mailboxes
    return "".join(exporting.export_rows(mailboxes, **options)).encode()


def read_file(data, delimiter=",") -> list[dict]:
    """Read the file without the project's code."""
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    return list(csv.DictReader(text, delimiter=delimiter))


def check_file(user, data) -> Import:
    """Stage the file and check all of its rows."""
    source = importing.stage_file(user, io.BytesIO(data), "mailboxes.csv")
    importing.check_rows(source, seconds=600)
    return source


def import_text(user, text):
    """Check and write the file, and return the batch."""
    return importing.write_import(check_file(user, text.encode()), user)


def count_outcomes(source) -> dict[str, int]:
    return {outcome: getattr(source, outcome) for outcome in ImportRow.Outcome.values}
