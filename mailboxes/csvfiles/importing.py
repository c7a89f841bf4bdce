"""CSV files of mailboxes: written for spreadsheets, and read back through the rules of the form.

A file on its way in is staged in the database, checked in slices of one request each, and
written in one transaction with its history, or not at all.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from time import monotonic
from uuid import UUID, uuid4

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from mailboxes import batches, validators
from mailboxes.batches import chunks
from mailboxes.contract import UUID_TEXT
from mailboxes.csvfiles.rows import (
    COLUMNS,
    FIXED,
    NEW,
    SILENT_IF_EMPTY,
    YES,
    RowForm,
    addresses_of,
    cells_of,
    unescape_formula,
)
from mailboxes.forms import SWITCHES, AddressesField
from mailboxes.models import Account, Batch, Import, ImportRow, Mailbox

MAX_MIB = 32
MAX_ROWS = 100_000
MAX_HEADER_ERRORS = 10  # of the row that names the columns
DELIMITERS = ",;\t"


class NotReadyError(Exception):
    """The import is not checked through, or what it would write has changed since it was."""


def stage_file(user, file, file_name) -> Import:
    """Read the file into the database, to be checked. Raises ValidationError on what is no such file."""
    Import.objects.expired().delete()
    Import.objects.filter(user=user, wrong__gt=0).delete()  # this is it, mended
    source = Import.objects.create(user=user, file_name=file_name)
    try:
        # Chunk by chunk, not as one transaction: on SQLite it would keep out who else writes.
        for some in chunks(read_rows(file)):
            source.row_count += len(some)
            ImportRow.objects.bulk_create(build_row(source, *row) for row in some)
        if not source.row_count:
            raise ValidationError(_("The file has no rows below the column names."))
    except ValidationError:
        source.delete()
        raise
    source.save()
    return source


def build_row(source, number, cells) -> ImportRow:
    """The row, with the mailbox that it names, if that is a UUID at all."""
    row = ImportRow(source=source, number=number)
    row.cells = cells
    if re.fullmatch(UUID_TEXT, cells.get("uuid", "")):
        row.mailbox_uuid = UUID(cells["uuid"])
    return row


def read_rows(file) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row's number, as a spreadsheet counts them, and its cells. Raises ValidationError."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    number = 0
    try:
        head = text.readline()
        delimiter = max(DELIMITERS, key=head.count)
        rows = csv.reader(chain([head], text), delimiter=delimiter, strict=True)
        columns: list[str] = []
        for number, row in enumerate(rows, start=1):
            if number == 1:
                columns = parse_header(row)
            elif number > MAX_ROWS + 1:
                raise ValidationError(
                    _("The file has more than %(most)s rows: split it."),
                    params={"most": f"{MAX_ROWS:,}"},
                )
            elif any(row):
                yield number, parse_cells(columns, row, number)
    except UnicodeDecodeError:
        raise ValidationError(
            _("The file is not in UTF-8: save it as “CSV UTF-8” in your spreadsheet.")
        ) from None
    except csv.Error:
        raise ValidationError(
            _("Row %(number)s has an unexpected quotation mark, or lacks one."),
            params={"number": number + 1},
        ) from None
    finally:
        text.detach()


def parse_header(row: list[str]) -> list[str]:
    """The columns that the first row names. Raises ValidationError on each that is none."""
    columns = [name.strip().lower() for name in row]
    if not any(columns):
        raise ValidationError(_("The file is empty: its first row must have the column names."))
    errors = []
    for place, column in enumerate(columns, start=1):
        if not column:
            errors.append(_("Column %(place)s has no name.") % {"place": place})
        elif column not in COLUMNS:
            errors.append(_("“%(column)s” is no column.") % {"column": column[:100]})
        elif column in columns[: place - 1]:
            errors.append(_("Column “%(column)s” stands there twice.") % {"column": column})
        if len(errors) == MAX_HEADER_ERRORS:
            break  # a file of something else may have any number of columns
    if errors:
        errors.append(_("The columns are %(columns)s.") % {"columns": ", ".join(COLUMNS)})
        raise ValidationError(errors)
    return columns


def parse_cells(columns, row, number) -> dict[str, str]:
    """What the row says, by column. Raises ValidationError where cells and columns do not match."""
    if len(row) != len(columns):
        raise ValidationError(
            _("Row %(number)s has %(cells)s cells, but there are %(columns)s columns."),
            params={"number": number, "cells": len(row), "columns": len(columns)},
        )
    given = {column: unescape_formula(cell) for column, cell in zip(columns, row, strict=True)}
    for column in SILENT_IF_EMPTY & given.keys():
        given[column] = given[column].strip()
        if not given[column]:
            del given[column]
    return given


def check_rows(source: Import, seconds: float) -> None:
    """Check rows that are not checked yet, for about so long."""
    end = monotonic() + seconds
    while rows := list(source.rows.filter(outcome="")[: batches.CHUNK_SIZE]):
        check_chunk(source, rows)
        if monotonic() > end:
            break
    source.count()


def check_chunk(source, rows) -> None:
    """Check these rows, and keep what comes of them."""
    found = Mailbox.objects.select_related("account").prefetch_related("email_recipients")
    uuids = {row.mailbox_uuid for row in rows if row.mailbox_uuid}
    mailboxes = found.in_bulk(list(uuids))
    numbers = defaultdict(list)
    for uuid, number in source.rows.filter(mailbox_uuid__in=uuids).values_list(
        "mailbox_uuid", "number"
    ):
        numbers[uuid].append(number)
    given = [row.cells for row in rows]
    accounts = find_accounts(given)
    for row, row_cells in zip(rows, given, strict=True):
        check_row(
            row, row_cells, mailboxes.get(row.mailbox_uuid), accounts, numbers[row.mailbox_uuid]
        )
    with transaction.atomic():
        # Not once it is written or discarded: the rows are gone then.
        if Import.objects.select_for_update().filter(pk=source.pk, batch=None):
            ImportRow.objects.bulk_create(
                rows,
                batch_size=batches.CHUNK_SIZE,
                update_conflicts=True,
                unique_fields=["id"],
                update_fields=["cells_sealed", "mailbox_uuid", "version", "outcome", "errors"],
            )


def find_accounts(rows: Iterable[dict[str, str]]) -> dict[str, Account]:
    """The accounts that the rows name, in one query."""
    names = {row["account"] for row in rows if "account" in row}
    plain = [name for name in names if re.match(validators.ACCOUNT_NAME, name)]
    return {account.name: account for account in Account.objects.filter(name__in=plain)}


def check_row(row, given, mailbox, accounts, numbers) -> None:
    """Say what comes of the row: its outcome, what is wrong, and its cells as an export would write them."""
    present = addresses_of(mailbox) if mailbox else []
    before = cells_of(mailbox, present) if mailbox else NEW
    row.version = mailbox and mailbox.version
    different = {column: text for column, text in given.items() if text != before.get(column)}
    errors = check_identity(row, different, before, numbers)
    if mailbox:
        different = {column: different[column] for column in different if column not in FIXED}
    else:
        row.mailbox_uuid = row.mailbox_uuid or uuid4()
        mailbox = Mailbox(uuid=row.mailbox_uuid)
    row.outcome = ImportRow.Outcome.UNCHANGED
    if different or mailbox._state.adding:
        form = RowForm(different, accounts, instance=mailbox)
        if form.is_valid() and not errors:
            wanted = form.cleaned_data.get("recipients", present)
            after = cells_of(
                mailbox, [*kept_addresses(present, wanted), *added_addresses(present, wanted)]
            )
            row.outcome = outcome_of(mailbox, before, after)
            row.cells = {column: after[column] for column in given}
        errors |= {column: [*texts] for column, texts in form.errors.items()}
    if row.outcome == ImportRow.Outcome.CHANGED and mailbox.is_deleted:
        errors["state"] = [_("This mailbox is deleted: restore it before you change it.")]
    if errors:
        row.outcome = ImportRow.Outcome.WRONG
    row.errors = errors


def check_identity(row, different, before, numbers) -> dict[str, list[str]]:
    """What is wrong about which mailbox the row means: that, no form can say."""
    errors = {}
    if "uuid" in different:
        try:
            validators.parse_uuid(different["uuid"])
        except ValidationError as error:
            errors["uuid"] = error.messages
    if len(numbers) > 1:
        errors["uuid"] = [
            _("This UUID stands in rows %(numbers)s: a mailbox may stand in a file once.")
            % {"numbers": ", ".join(map(str, sorted(numbers)[:5]))}
        ]
    if "state" in different:
        errors["state"] = [
            _(
                "The mailbox is %(state)s, and a file neither deletes nor restores one: leave this cell empty."
            )
            % {"state": before["state"]}
        ]
    if "account" in different and "account" in before:
        errors["account"] = [
            _(
                "The mailbox belongs to “%(account)s”, and stays there: write that, or leave this cell empty."
            )
            % {"account": before["account"]}
        ]
    return errors


def outcome_of(mailbox, before, after) -> str:
    """Whether the mailbox is made, changed, or stays as it is."""
    if mailbox._state.adding:
        return ImportRow.Outcome.CREATED
    return ImportRow.Outcome.UNCHANGED if before == after else ImportRow.Outcome.CHANGED


def kept_addresses(present: list[str], wanted: list[str]) -> list[str]:
    """Those present that are wanted."""
    return [address for address in present if address in wanted]


def added_addresses(present: list[str], wanted: list[str]) -> list[str]:
    """Those wanted that are not present."""
    return [address for address in wanted if address not in present]


def write_import(source: Import, user) -> Batch:
    """Write all of it, or nothing. Who asks twice gets the same batch. Raises NotReadyError."""
    to_write = source.rows.filter(outcome__in=["created", "changed"])
    try:
        with transaction.atomic():
            source = Import.objects.select_for_update().get(pk=source.pk)
            if source.batch:
                return source.batch
            if not source.is_ready:
                raise NotReadyError
            source.batch = Batch.objects.create(user=user, action=Batch.Action.IMPORTED)
            source.save()
            # In the order in which mailboxes are held, by whomever.
            for rows in chunks(to_write.order_by("mailbox_uuid").iterator()):
                write_chunk(source.batch, rows)
            source.rows.all().delete()
            return source.batch
    except (NotReadyError, IntegrityError, Import.DoesNotExist):  # gone: discarded meanwhile
        to_write.update(outcome="")
        source.count()
        raise NotReadyError from None


def write_chunk(batch, rows) -> None:
    """Write what these rows say. Raises NotReadyError where a mailbox is not as it was checked."""
    held = {
        mailbox.pk: mailbox
        for mailbox in batches.lock_for_update([row.mailbox_uuid for row in rows])
    }
    given = [row.cells for row in rows]
    accounts = find_accounts(given)
    created, changed, added, removed = [], [], [], []
    for row, row_cells in zip(rows, given, strict=True):
        mailbox = held.get(row.mailbox_uuid)
        if row.version != (mailbox and mailbox.version):
            raise NotReadyError
        if mailbox:
            recipients = list(mailbox.email_recipients.all())
            changed.append(mailbox)
        elif row_cells["account"] in accounts:
            recipients = []
            mailbox = Mailbox(uuid=row.mailbox_uuid, account=accounts[row_cells["account"]])
            created.append(mailbox)
        else:
            raise NotReadyError
        apply_cells(mailbox, row_cells)
        if "recipients" in row_cells:
            wanted = AddressesField.split(row_cells["recipients"])
            present = [recipient.email for recipient in recipients]
            removed += [recipient for recipient in recipients if recipient.email not in wanted]
            added += mailbox.recipients_to_add(added_addresses(present, wanted))
    batches.write_batch(batch, created=created, changed=changed, added=added, removed=removed)


def apply_cells(mailbox, given) -> None:
    """Set what the checked cells say of the mailbox itself."""
    before = cells_of(mailbox, [])
    different = {column for column in given if given[column] != before[column]}
    for flag in different.intersection(SWITCHES):
        setattr(mailbox, flag, given[flag] == YES)
    if "name" in different:
        mailbox.name = given["name"]
    if "greeting" in different:
        mailbox.greeting = UUID(given["greeting"]) if given["greeting"] else None
    if "password" in different:
        mailbox.password = given["password"] or None
