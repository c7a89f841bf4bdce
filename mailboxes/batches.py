"""Batches: changes of many mailboxes at once, with history, which can be undone."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from operator import attrgetter
from uuid import UUID, uuid4

from django.db import connection, models, transaction
from django.db.models import F, Max, OuterRef, Subquery, Value
from django.utils import timezone

from mailboxes import contract
from mailboxes.history import (
    AUTHORS,
    FIELDS,
    Change,
    different_fields,
    mailbox_changes,
    masked_fields,
    recipient_changes,
)
from mailboxes.models import Batch, EmailRecipient, Mailbox
from mailboxes.models.history import NEWEST_FIRST, START
from mailboxes.models.mailboxes import WITHIN_MAILBOX, ChangedMeanwhileError, check_quotas

# The actions that do not say whether they delete or restore mailboxes, and may do either.
STATE_CHANGERS = {Batch.Action.UNDONE, Batch.Action.PUT_BACK}
# The fields of a mailbox that an undo reverts.
REVERTED_FIELDS = (*FIELDS, "deleted_at")
UPDATED_FIELDS = [
    field.name
    for field in Mailbox._meta.concrete_fields
    if field.name not in {"uuid", Mailbox.parent_field}
]
CHUNK_SIZE = 500
MAX_ACCOUNTS = 100  # whose names are kept with a batch
MAX_ADDRESSES = 5  # that an effect names; more are shown as "various"


class AlreadyUndoneError(Exception):
    pass


class HistoryTrimmedError(Exception):
    """The state to put back has been removed from the history: see `mailboxes.trimming`."""


def lock_for_update(uuids: Iterable, recipients=True) -> list[Mailbox]:
    """Lock mailboxes until the transaction ends, and return them with account and recipients."""
    # Always in the same order, so that two writers cannot deadlock.
    mailboxes = Mailbox.objects.filter(pk__in=uuids).order_by("pk").select_related("account")
    mailboxes = mailboxes.select_for_update(of=["self"])
    return list(mailboxes.prefetch_related("email_recipients") if recipients else mailboxes)


@transaction.atomic
def write_batch(batch: Batch, *, created=(), changed=(), added=(), removed=()) -> set[int]:
    """Save mailboxes and recipients, with a new version and history rows by the batch's user.

    The caller has validated everything, and locked the `changed` mailboxes and those of `added`
    and `removed` recipients. Returns the accounts that got more active mailboxes: the caller must
    pass them to `check_quotas`, after the last batch of the transaction.
    """
    before = Mailbox.objects.in_bulk([mailbox.pk for mailbox in changed])
    restored = [
        mailbox for mailbox in changed if before[mailbox.pk].is_deleted and not mailbox.is_deleted
    ]
    grown = {mailbox.account_id for mailbox in [*created, *restored]}
    now = timezone.now()
    updated = {recipient.mailbox.pk: recipient.mailbox for recipient in chain(added, removed)}
    updated |= {mailbox.pk: mailbox for mailbox in changed}
    for mailbox in created:
        updated.pop(mailbox.pk, None)
    for mailbox in created:
        mailbox.updated_at = mailbox.created_at
    for mailbox in updated.values():
        mailbox.mark_changed(now)
    Mailbox.objects.bulk_create(created, batch_size=CHUNK_SIZE)
    # Updates many rows in one query. Each exists and is locked, so none is inserted.
    Mailbox.objects.bulk_create(
        updated.values(),
        batch_size=CHUNK_SIZE,
        update_conflicts=True,
        unique_fields=["uuid"],
        update_fields=UPDATED_FIELDS,
    )
    record_batch(batch, removed, "-", now)
    deleted = EmailRecipient.objects.filter(pk__in=[recipient.pk for recipient in removed])
    deleted._raw_delete(deleted.db)  # with signals each row would get a second history row
    EmailRecipient.objects.bulk_create(added, batch_size=CHUNK_SIZE)
    for rows, kind in ((created, "+"), (changed, "~"), (added, "+")):
        record_batch(batch, rows, kind, now)
    more = [*list_effects(batch, before, [*created, *changed])]
    more += list_addresses("recipient removed", removed)
    more += list_addresses("recipient added", added)
    effects = merge_effects(batch.effects or {}, more)
    accounts = {mailbox.account.name for mailbox in chain(created, updated.values())}
    batch.accounts = sorted(accounts.union(batch.accounts or ()))[:MAX_ACCOUNTS]
    batch.count += len(created) + len(updated)
    batch.name = next(chain(created, updated.values())).name if batch.count == 1 else ""
    if "name" in effects and batch.count > 1:
        effects["name"] = []  # a name must not stay longer than its mailbox
    batch.effects = effects
    batch.save()
    return grown


def list_effects(batch, before: dict, mailboxes) -> Iterator[tuple[str, list]]:
    """Yield each effect (see `Batch.effects`) on fields, with its value in a list.

    `before` has the mailboxes by UUID as they were. A new one is compared with the defaults.
    """
    blank = Mailbox()
    for mailbox in mailboxes:
        old = before.get(mailbox.pk, blank)
        values = masked_fields(mailbox)
        for field in different_fields(old, mailbox):
            yield field, [values[field]]
        if batch.action in STATE_CHANGERS:
            is_same = old.is_deleted == mailbox.is_deleted
            state = None if is_same else "deleted" if mailbox.is_deleted else "restored"
            yield "state", [state]


def list_addresses(key: str, recipients) -> Iterator[tuple[str, list]]:
    """Yield for each mailbox the effect with the addresses of these recipients, in order."""
    by_mailbox = defaultdict(list)
    for recipient in sorted(recipients, key=attrgetter("position")):
        by_mailbox[recipient.mailbox_id].append(recipient.email)
    for addresses in by_mailbox.values():
        yield key, addresses if len(addresses) <= MAX_ADDRESSES else []


def merge_effects(effects: dict, more: Iterable[tuple[str, list]]) -> dict:
    for key, values in more:
        if effects.setdefault(key, values) != values:
            effects[key] = []
    return effects


def record_batch(batch, rows, kind, now) -> None:
    """Copy rows from the database to history. `kind` is `+` created, `~` changed, `-` removed."""
    extra_columns: dict[str, models.F | Value] = {
        "history_date": Value(now, models.DateTimeField()),
        "history_type": Value(kind),
        "history_user_id": Value(batch.user_id),
        "history_batch_id": Value(batch.pk, models.UUIDField()),
    }
    for chunk in chunks(rows):
        model = type(chunk[0])
        if model is EmailRecipient:
            extra_columns["version"] = F("mailbox__version")
        history = model.history.model
        tracked = [field.attname for field in history.tracked_fields]
        order = ["position"] if model is EmailRecipient else []  # pages list changes by id
        states = model.objects.filter(pk__in=[row.pk for row in chunk]).order_by(*order)
        states = states.values_list(*tracked, *extra_columns.values())
        select, values = states.query.sql_with_params()
        columns = [history._meta.get_field(name).column for name in (*tracked, *extra_columns)]
        names = ", ".join(map(connection.ops.quote_name, columns))
        with connection.cursor() as cursor:  # ten times faster than inserting from Python
            cursor.execute(f"INSERT INTO {history._meta.db_table} ({names}) {select}", values)


@transaction.atomic
def change_each(
    user, action, versions: dict, change, change_recipients=None, uuid: UUID | None = None
) -> Batch:
    """Apply `change` to each mailbox: all are changed, or none.

    `change` sets fields of a mailbox, and returns False if nothing changes. `change_recipients`
    returns the recipients of a mailbox to add, and those to remove. `versions` is the expected
    version by uuid, and `uuid` that of the new batch. Raises ChangedMeanwhileError if a version
    differs, AccountFullError, and IntegrityError if there is such a batch already.
    """
    batch = Batch.objects.create(pk=uuid or uuid4(), user=user, action=action)
    grown: set[int] = set()
    for uuids in chunks(sorted(versions)):
        mailboxes = lock_for_update(uuids, recipients=change_recipients is not None)
        if {mailbox.pk: mailbox.version for mailbox in mailboxes} != {
            uuid: versions[uuid] for uuid in uuids
        }:
            raise ChangedMeanwhileError
        changed, added, removed = [mailbox for mailbox in mailboxes if change(mailbox)], [], []
        for mailbox in mailboxes if change_recipients else ():
            to_add, to_remove = change_recipients(mailbox)
            added += to_add
            removed += to_remove
        grown |= write_batch(batch, changed=changed, added=added, removed=removed)
    check_quotas(grown)
    return batch


def mark_deleted(mailbox: Mailbox) -> bool:
    if mailbox.is_deleted:
        return False
    mailbox.deleted_at = timezone.now()
    return True


def mark_restored(mailbox: Mailbox) -> bool:
    if not mailbox.is_deleted:
        return False
    mailbox.deleted_at = None
    return True


@transaction.atomic
def undo_batch(batch: Batch, user) -> tuple[Batch | None, list[Mailbox]]:
    """Undo what the batch changed in each mailbox.

    Raises AlreadyUndoneError, and AccountFullError if it would restore too many.

    Returns the batch of the undo, which can be undone too, or None if nothing could be undone;
    and the mailboxes that were skipped, because they have changed again since.
    """
    batch = Batch.objects.select_for_update().get(pk=batch.pk)
    if batch.undone_at is not None:
        raise AlreadyUndoneError
    now = timezone.now()
    # Made at the time when the batch is undone: see `BatchQuerySet.with_undone_count`.
    undoing = Batch.objects.create(user=user, action=Batch.Action.UNDONE, made_at=now)
    rows_of_recipients = defaultdict(list)
    for row in EmailRecipient.history.filter(history_batch=batch):
        rows_of_recipients[row.mailbox_id].append(row)
    after = {row.uuid: row for row in Mailbox.history.filter(history_batch=batch)}
    skipped: list[Mailbox] = []
    grown: set[int] = set()
    for uuids in chunks(sorted(after.keys() | rows_of_recipients.keys())):
        before = states_before(batch, uuids)
        changed, added, removed = [], [], []
        for mailbox in lock_for_update(uuids):
            row = after.get(mailbox.pk)
            was_deleted_since = mailbox.is_deleted and not (row and row.deleted_at)
            if row and mailbox.pk not in before:  # the batch created it
                if mailbox.version == row.version:
                    mailbox.deleted_at = now
                    changed.append(mailbox)
                else:
                    skipped.append(mailbox)
            elif was_deleted_since or (row and not revert_fields(mailbox, before[mailbox.pk], row)):
                skipped.append(mailbox)
            else:
                changed += [mailbox] if row else []
                to_add, to_remove = revert_recipients(mailbox, rows_of_recipients[mailbox.pk])
                added += to_add
                removed += to_remove
        grown |= write_batch(undoing, changed=changed, added=added, removed=removed)
    check_quotas(grown)
    if not undoing.count:
        undoing.delete()
        return None, skipped
    batch.undone_at = now
    batch.save(update_fields=["undone_at"])
    return undoing, skipped


def list_mailboxes(batch: Batch) -> models.QuerySet[Mailbox]:
    """Return the batch's mailboxes, without those whose history no longer has a row of it."""
    rows = {"history_batch": batch}
    known = Mailbox.history.filter(**rows).order_by().values("uuid")
    of_recipients = EmailRecipient.history.filter(**rows).order_by().values("mailbox_id")
    return Mailbox.objects.filter(pk__in=known.union(of_recipients))


def count_unknown(batch: Batch) -> int:
    """Return how many mailboxes of the batch have no row of it in their history any more."""
    return batch.count - list_mailboxes(batch).count()


def list_changes(batch: Batch, uuids) -> dict[UUID, list[Change]]:
    """Return a dict: for each mailbox's UUID, the changes that the batch made to it."""
    before = states_before(batch, uuids)
    changes: list[Change] = []
    for row in Mailbox.history.filter(history_batch=batch, uuid__in=uuids).select_related(*AUTHORS):
        states = [row, before[row.uuid]] if row.uuid in before else [row]
        changes += mailbox_changes(states, first=row.version)
    rows = EmailRecipient.history.filter(history_batch=batch, mailbox_id__in=uuids)
    changes += recipient_changes(rows)
    by_mailbox = defaultdict(list)
    for change in changes:
        by_mailbox[change.mailbox].append(change)
    return by_mailbox


def states_before(batch, uuids) -> dict:
    earlier = Mailbox.history.filter(
        uuid=OuterRef("uuid"), version__lt=OuterRef("version")
    ).order_by(*NEWEST_FIRST)
    of_batch = Mailbox.history.filter(history_batch=batch, uuid__in=uuids).order_by()
    ids = of_batch.values_list(Subquery(earlier.values("history_id")[:1]), flat=True)
    return {row.uuid: row for row in Mailbox.history.filter(history_id__in=list(ids))}


def revert_fields(mailbox, before, after) -> bool:
    """Give the mailbox's fields that the batch changed the values that they had before it.

    Return False, and revert none, if one of them has changed since.
    """
    fields = different_fields(before, after, REVERTED_FIELDS)
    if different_fields(mailbox, after, fields):
        return False
    mailbox.copy_fields(before, fields)
    if "deleted_at" in fields and mailbox.is_deleted:
        mailbox.deleted_at = timezone.now()  # the retention time starts now
    return True


def revert_recipients(mailbox, rows) -> tuple[list, list]:
    present = {recipient.pk: recipient for recipient in mailbox.email_recipients.all()}
    removed = [
        present[row.uuid]
        for row in rows
        if row.history_type == "+" and row.uuid in present and present[row.uuid].email == row.email
    ]
    rows = [row for row in rows if row.history_type == "-"]
    return build_missing_recipients(mailbox, rows, removed), removed


def build_missing_recipients(mailbox, rows, removed) -> list[EmailRecipient]:
    """Build recipients from history rows whose address the mailbox now lacks, up to its limit."""
    remaining = set(mailbox.email_recipients.all()) - set(removed)
    addresses = {recipient.email.lower() for recipient in remaining}
    missing = [row for row in rows if row.email.lower() not in addresses]
    used_uuids = {recipient.pk for recipient in remaining}  # whose address has changed since
    return [
        EmailRecipient(
            uuid=uuid4() if row.uuid in used_uuids else row.uuid,
            mailbox=mailbox,
            email=row.email,
            position=row.position,
            created_at=row.created_at,
        )
        for row in missing[: contract.MAX_RECIPIENTS - len(remaining)]
    ]


@transaction.atomic
def revert_to(mailbox: Mailbox, version: int, user) -> Batch:
    """Restore the mailbox, with the settings and recipients of this version.

    Raises HistoryTrimmedError, and AccountFullError.
    """
    (mailbox,) = lock_for_update([mailbox.pk])
    then = mailbox.history.filter(version__lte=version).order_by(*NEWEST_FIRST).first()
    if then is None or mailbox.history.filter(history_type=START, version__gt=version).exists():
        raise HistoryTrimmedError
    mailbox.copy_fields(then, FIELDS)
    mailbox.deleted_at = None
    rows = EmailRecipient.history.filter(mailbox_id=mailbox.pk, version__lte=version)
    latest = rows.order_by().values("uuid").annotate(latest=Max("history_id")).values("latest")
    rows = rows.filter(history_id__in=latest).exclude(history_type="-").order_by(*WITHIN_MAILBOX)
    # A recipient that was added again or changed since is replaced, so that the order is restored too.
    old_recipients = {(row.uuid, row.email) for row in rows}
    removed = [
        recipient
        for recipient in mailbox.email_recipients.all()
        if (recipient.pk, recipient.email) not in old_recipients
    ]
    added = build_missing_recipients(mailbox, rows, removed)
    batch = Batch.objects.create(user=user, action=Batch.Action.PUT_BACK)
    check_quotas(write_batch(batch, changed=[mailbox], added=added, removed=removed))
    return batch


def chunks(values: Iterable) -> Iterator[list]:
    values = iter(values)
    while chunk := list(islice(values, CHUNK_SIZE)):
        yield chunk
