"""Import of mailboxes from CSV.

A file is staged in the database, checked in slices of one request each by the rules of the form,
and written with its history in one transaction.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from time import monotonic
from uuid import UUID, uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from mailboxes import batches, validators
from mailboxes.batches import chunks
from mailboxes.contract import UUID_TEXT
from mailboxes.csvfiles.parsing import parse_rows
from mailboxes.csvfiles.rows import (
    COLUMNS,
    FIXED,
    NEW,
    YES,
    RowForm,
    format_cells,
    list_addresses,
    lower_cells,
)
from mailboxes.form_fields import AddressesField
from mailboxes.forms import SWITCHES
from mailboxes.models import Account, Batch, Import, ImportRow, Mailbox
from mailboxes.models.accounts import AccountFullError
from mailboxes.models.mailboxes import check_quotas
from mailboxes.models.sounds import find_greeting

MAX_MIB = 32
# Rows that are checked together: few, because a garbage collection visits all objects of their
# forms while other requests wait.
CHECKED_ROWS = 10
MAX_CHUNK_LENGTH = 1_000_000  # encrypted characters


class NotReadyError(Exception):
    """The import is not fully checked, or its mailboxes have changed since the check."""


def stage_file(user, file, file_name) -> Import:
    """Store the file's rows in the database. Raises ValidationError if it is malformed."""
    Import.objects.expired().delete()
    Import.objects.filter(user=user, wrong__gt=0).delete()  # this file is probably its correction
    Import.objects.oldest_unwritten(user).delete()
    source = Import.objects.create(user=user, file_name=file_name)
    try:
        # Not one transaction: on SQLite it would block all other writers.
        for chunk in chunks(build_row(source, *row) for row in parse_rows(file)):
            source.row_count += len(chunk)
            ImportRow.objects.bulk_create(chunk)
        if not source.row_count:
            raise ValidationError(_("The file has no rows below the column names."))
    except ValidationError:
        source.delete()
        raise
    source.save()
    return source


def build_row(source, number, cells) -> ImportRow:
    row = ImportRow(source=source, number=number)
    row.cells = cells
    if re.fullmatch(UUID_TEXT, cells.get("uuid", "")):
        row.mailbox_uuid = UUID(cells["uuid"])
    return row


def check_rows(source: Import, seconds: float) -> None:
    end = monotonic() + seconds
    while rows := take_unchecked(source):
        check_chunk(source, rows)
        if monotonic() > end:
            break
    source.count()


def take_unchecked(source: Import) -> list[ImportRow]:
    """Return the next rows to check: fewer if they are long, so that they fit into the memory."""
    rows, length = [], 0
    unchecked = source.rows.filter(outcome="")[:CHECKED_ROWS]
    for row in unchecked.iterator(chunk_size=50):
        rows.append(row)
        length += len(row.cells_sealed)
        if length > MAX_CHUNK_LENGTH:
            break
    return rows


def check_chunk(source, rows) -> None:
    found = Mailbox.objects.select_related("account").prefetch_related("email_recipients")
    uuids = {row.mailbox_uuid for row in rows if row.mailbox_uuid}
    mailboxes = found.in_bulk(list(uuids))
    numbers = defaultdict(list)
    for uuid, number in source.rows.filter(mailbox_uuid__in=uuids).values_list(
        "mailbox_uuid", "number"
    ):
        numbers[uuid].append(number)
    cells_of_rows = [row.cells for row in rows]
    # Accounts by name, and greetings, each of which is looked up once.
    lookups = find_accounts(map(lower_cells, cells_of_rows)), cache(find_greeting)
    for row, cells in zip(rows, cells_of_rows, strict=True):
        check_row(row, cells, mailboxes.get(row.mailbox_uuid), lookups, numbers[row.mailbox_uuid])
    new_rows = [row for row in rows if row.outcome == ImportRow.Outcome.CREATED]
    warn_of_copies(new_rows)
    check_room(source, new_rows)
    with transaction.atomic():
        # The rows are deleted once the import is written or discarded.
        if Import.objects.select_for_update().filter(pk=source.pk, batch=None):
            ImportRow.objects.bulk_create(
                rows,
                update_conflicts=True,
                unique_fields=["id"],
                update_fields=[
                    *("cells_sealed", "mailbox_uuid", "account_key"),
                    *("version", "outcome", "errors"),
                ],
            )


def find_accounts(rows: Iterable[dict[str, str]]) -> dict[str, Account]:
    """Return the accounts in the rows by name, with one query."""
    names = {row["account"] for row in rows if "account" in row}
    valid = [name for name in names if re.match(validators.ACCOUNT_NAME, name)]
    return {account.name: account for account in Account.objects.filter(name__in=valid)}


def check_row(row, typed, mailbox, lookups, numbers) -> None:
    """Set a row's outcome and errors and, if it is valid, its cells as an export has them.

    `typed` are its cells as they are in the file, and `numbers` those of all rows with its UUID:
    more than one is an error.
    """
    cells = lower_cells(typed)
    present = list_addresses(mailbox) if mailbox else []
    before = format_cells(mailbox, present) if mailbox else NEW
    row.version = mailbox and mailbox.version
    warnings = {}
    different = {column: text for column, text in cells.items() if text != before.get(column)}
    errors = check_identity(row, different, before, numbers)
    for column in cells.keys() - {*COLUMNS}:
        errors[column] = [_("There is no column name above this cell: add one, or empty the cell.")]
    if mailbox:
        different = {column: different[column] for column in different if column not in FIXED}
    else:
        row.mailbox_uuid = row.mailbox_uuid or uuid4()
        mailbox = Mailbox(uuid=row.mailbox_uuid)
    row.outcome = ImportRow.Outcome.UNCHANGED
    if different or mailbox._state.adding:
        to_check = {column: typed[column] for column in different}
        form = RowForm(to_check, *lookups, instance=mailbox)
        if form.is_valid() and not errors:
            wanted = form.cleaned_data.get("recipients", present)
            kept = [address for address in present if address in wanted]
            after = format_cells(mailbox, [*kept, *addresses_to_add(present, wanted)])
            # A pass code in the file is a change, whether or not it is the present one.
            after |= {"password": different["password"]} if "password" in different else {}
            row.outcome = get_outcome(mailbox, before, after)
            row.account_key = mailbox.account_id
            row.cells = {column: after[column] for column in cells}
            if "password" in different and mailbox.password_is_weak:
                warnings["password"] = [_("easy to guess")]
        errors |= {column: [*texts] for column, texts in form.errors.items()}
    if row.outcome == ImportRow.Outcome.CHANGED and mailbox.is_deleted:
        errors["state"] = [_("This mailbox is deleted: restore it before you change it.")]
    if errors:
        row.outcome = ImportRow.Outcome.WRONG
    elif not different and cells != typed:
        row.cells = cells
    row.errors = errors or warnings


def warn_of_copies(new_rows: list[ImportRow]) -> None:
    """Add a warning to new rows whose account has a mailbox of that name already."""
    keys = {row: (row.account_key, row.cells["name"]) for row in new_rows}
    accounts, names = zip(*keys.values(), strict=True) if keys else ((), ())
    present = Mailbox.objects.active().filter(account__in={*accounts}, name__in={*names})
    copied = {*present.order_by().values_list("account", "name")}
    for row in new_rows:
        if keys[row] in copied:
            row.errors["name"] = [_("another mailbox has this name")]


def check_room(source: Import, new_rows: list[ImportRow]) -> None:
    """Set an error in new rows that are too many for their account."""
    keys = {row.account_key for row in new_rows}
    active = Mailbox.objects.active().filter(account__in=keys).values_list("account")
    checked = source.rows.filter(outcome=ImportRow.Outcome.CREATED, account_key__in=keys)
    counts: Counter[int | None] = Counter()
    for rows in (active, checked.values_list("account_key")):
        counts.update(dict(rows.order_by().annotate(Count("pk"))))
    for row in new_rows:
        counts[row.account_key] += 1
        if counts[row.account_key] > settings.MAX_MAILBOXES_PER_ACCOUNT:
            row.outcome = ImportRow.Outcome.WRONG
            row.errors = {"account": [AccountFullError(row.cells["account"]).message]}


def check_identity(row, different, before, numbers) -> dict[str, list[str]]:
    """Return errors in the columns that identify the mailbox, which no form checks."""
    errors = {}
    if "uuid" in different:
        try:
            validators.parse_uuid(different["uuid"])
        except ValidationError as error:
            errors["uuid"] = error.messages
    if len(numbers) > 1:
        errors["uuid"] = [
            _("This UUID is in rows %(numbers)s: a mailbox can have only one row.")
            % {"numbers": ", ".join(map(str, sorted(numbers)[:5]))}
        ]
    if "state" in different:
        errors["state"] = [
            _(
                "The mailbox is %(state)s. An import cannot delete or restore it: leave this cell empty."
            )
            % {"state": before["state"]}
        ]
    if "account" in different and "account" in before:
        errors["account"] = [
            _(
                "The mailbox belongs to the account “%(account)s”, which an import cannot change: "
                "write that name, or leave this cell empty."
            )
            % {"account": before["account"]}
        ]
    return errors


def get_outcome(mailbox, before, after) -> str:
    if mailbox._state.adding:
        return ImportRow.Outcome.CREATED
    return ImportRow.Outcome.UNCHANGED if before == after else ImportRow.Outcome.CHANGED


def addresses_to_add(present: list[str], wanted: list[str]) -> list[str]:
    return [address for address in wanted if address not in present]


def write_import(source: Import, user) -> Batch:
    """Write all rows, or nothing. A second call returns the same batch. Raises NotReadyError."""
    # The order in which all writers lock mailboxes, so that there is no deadlock.
    to_write = source.rows.filter(outcome__in=["created", "changed"]).order_by("mailbox_uuid")
    try:
        with transaction.atomic():
            source = Import.objects.select_for_update().get(pk=source.pk)
            if source.batch:
                return source.batch
            if not source.is_ready:
                raise NotReadyError
            source.batch = Batch.objects.create(user=user, action=Batch.Action.IMPORTED)
            source.save()
            grown: set[int] = set()
            for rows in chunks(to_write.iterator(chunk_size=batches.CHUNK_SIZE)):
                grown |= write_chunk(source.batch, rows)
            check_quotas(grown)
            source.rows.all().delete()
            return source.batch
    # DoesNotExist: the import was discarded meanwhile.
    except (NotReadyError, AccountFullError, IntegrityError, Import.DoesNotExist):
        to_write.update(outcome="")
        source.count()
        raise NotReadyError from None


def write_chunk(batch, rows) -> set[int]:
    """Write the rows' mailboxes, as `batches.write_batch` does.

    Raises NotReadyError if one has changed since the check.
    """
    locked = {
        mailbox.pk: mailbox
        for mailbox in batches.lock_for_update([row.mailbox_uuid for row in rows])
    }
    cells_of_rows = [row.cells for row in rows]
    accounts = find_accounts(cells_of_rows)
    created, changed, added, removed = [], [], [], []
    for row, cells in zip(rows, cells_of_rows, strict=True):
        mailbox = locked.get(row.mailbox_uuid)
        if row.version != (mailbox and mailbox.version):
            raise NotReadyError
        if mailbox:
            recipients = list(mailbox.email_recipients.all())
            changed.append(mailbox)
        elif cells["account"] in accounts:
            recipients = []
            mailbox = Mailbox(uuid=row.mailbox_uuid, account=accounts[cells["account"]])
            created.append(mailbox)
        else:
            raise NotReadyError
        apply_cells(mailbox, cells)
        if "recipients" in cells:
            wanted = AddressesField.split(cells["recipients"])
            present = [recipient.email for recipient in recipients]
            removed += [recipient for recipient in recipients if recipient.email not in wanted]
            added += mailbox.recipients_to_add(addresses_to_add(present, wanted))
    return batches.write_batch(
        batch, created=created, changed=changed, added=added, removed=removed
    )


def apply_cells(mailbox, cells) -> None:
    """Set the mailbox's fields from checked cells, except for the recipients."""
    before = format_cells(mailbox, [])
    different = {column for column in cells if cells[column] != before[column]}
    for flag in different.intersection(SWITCHES):
        setattr(mailbox, flag, cells[flag] == YES)
    if "name" in different:
        mailbox.name = cells["name"]
    if "greeting" in different:
        mailbox.greeting = UUID(cells["greeting"]) if cells["greeting"] else None
    if "password" in different:
        mailbox.password = cells["password"] or None
