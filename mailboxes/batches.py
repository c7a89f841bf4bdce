"""What staff do in one go: many mailboxes written at once with their history, undone, put back."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from uuid import uuid4

from django.db import connection, models, transaction
from django.db.models import OuterRef, Subquery, Value
from django.utils import timezone

from mailboxes import contract
from mailboxes.history import FIELDS
from mailboxes.models import Batch, EmailRecipient, Mailbox
from mailboxes.models.mailboxes import WITHIN_MAILBOX, ChangedMeanwhileError

# What a row of a mailbox's history keeps of its state.
STATE = (*FIELDS, "deleted_at")
WRITTEN = [field.name for field in Mailbox._meta.concrete_fields if not field.primary_key]
CHUNK_SIZE = 500


class AlreadyUndoneError(Exception):
    """The batch was undone before."""


def lock_for_update(uuids: Iterable, recipients=True) -> list[Mailbox]:
    """The mailboxes with their accounts and, unless not asked for, recipients; locked until the transaction ends."""
    # Always in one order, so that two writers do not wait for each other.
    mailboxes = Mailbox.objects.filter(pk__in=uuids).order_by("pk").select_related("account")
    mailboxes = mailboxes.select_for_update(of=["self"])
    return list(mailboxes.prefetch_related("email_recipients") if recipients else mailboxes)


@transaction.atomic
def write_batch(batch: Batch, *, created=(), changed=(), added=(), removed=()) -> None:
    """Write mailboxes and recipients as they stand, each a version on and with a row of history by the batch's author.

    `changed` mailboxes, and those whose recipients are `added` or `removed`, are held by the
    caller. Nothing is validated here.
    """
    now = timezone.now()
    touched = {recipient.mailbox.pk: recipient.mailbox for recipient in chain(added, removed)}
    touched |= {mailbox.pk: mailbox for mailbox in changed}
    for mailbox in created:
        touched.pop(mailbox.pk, None)
    for mailbox in touched.values():
        mailbox.version += 1
        mailbox.updated_at = now
    Mailbox.objects.bulk_create(created, batch_size=CHUNK_SIZE)
    # One statement for many rows; each is there and held, so none is inserted.
    Mailbox.objects.bulk_create(
        touched.values(),
        batch_size=CHUNK_SIZE,
        update_conflicts=True,
        unique_fields=["uuid"],
        update_fields=WRITTEN,
    )
    record_batch(batch, removed, "-", now)
    gone = EmailRecipient.objects.filter(pk__in=[recipient.pk for recipient in removed])
    gone._raw_delete(gone.db)  # with signals each row would write its history a second time
    EmailRecipient.objects.bulk_create(added, batch_size=CHUNK_SIZE)
    for rows, kind in ((created, "+"), (changed, "~"), (added, "+")):
        record_batch(batch, rows, kind, now)
    batch.count += len(created) + len(touched)
    batch.name = next(chain(created, touched.values())).name if batch.count == 1 else ""
    batch.save()


def record_batch(batch, rows, kind, now) -> None:
    """Copy the rows, as they stand in the database, to history: `+` made, `~` changed, `-` removed."""
    told = {
        "history_date": Value(now, models.DateTimeField()),
        "history_type": Value(kind),
        "history_user_id": Value(batch.user_id),
        "history_batch_id": Value(batch.pk, models.UUIDField()),
    }
    for some in chunks(rows):
        model = type(some[0])
        history = model.history.model
        kept = [field.attname for field in history.tracked_fields]
        states = model.objects.filter(pk__in=[row.pk for row in some]).order_by()
        select, values = states.values_list(*kept, *told.values()).query.sql_with_params()
        columns = [history._meta.get_field(name).column for name in (*kept, *told)]
        names = ", ".join(map(connection.ops.quote_name, columns))
        with connection.cursor() as cursor:  # the database copies them in a tenth of our time
            cursor.execute(f"INSERT INTO {history._meta.db_table} ({names}) {select}", values)


@transaction.atomic
def change_each(user, action, versions: dict, alter) -> Batch:
    """Do it to each mailbox, all or none: `alter` sets what is to change, and says whether anything did.

    Raises ChangedMeanwhileError where a mailbox is at another version than the one given with its uuid.
    """
    batch = Batch.objects.create(user=user, action=action)
    for uuids in chunks(sorted(versions)):
        mailboxes = lock_for_update(uuids, recipients=False)
        if {mailbox.pk: mailbox.version for mailbox in mailboxes} != {
            uuid: versions[uuid] for uuid in uuids
        }:
            raise ChangedMeanwhileError
        write_batch(batch, changed=[mailbox for mailbox in mailboxes if alter(mailbox)])
    return batch


def delete_each(mailbox: Mailbox) -> bool:
    """Delete it, unless it is deleted."""
    if mailbox.is_deleted:
        return False
    mailbox.deleted_at = timezone.now()
    return True


def restore_each(mailbox: Mailbox) -> bool:
    """Restore it, if it is deleted."""
    if not mailbox.is_deleted:
        return False
    mailbox.deleted_at = None
    return True


@transaction.atomic
def undo_batch(batch: Batch, user) -> tuple[Batch | None, list[Mailbox]]:
    """Give each mailbox back what the batch changed. Raises AlreadyUndoneError.

    Returns the batch that did so, which can be undone in its turn, or None where nothing was
    left to be undone; and the mailboxes left alone, in which something has changed again since.
    """
    batch = Batch.objects.select_for_update().get(pk=batch.pk)
    if batch.undone_at is not None:
        raise AlreadyUndoneError
    now = timezone.now()
    undoing = Batch.objects.create(user=user, action=Batch.Action.UNDONE)
    rows_of_recipients = defaultdict(list)
    for row in EmailRecipient.history.filter(history_batch=batch):
        rows_of_recipients[row.mailbox_id].append(row)
    after = {row.uuid: row for row in Mailbox.history.filter(history_batch=batch)}
    left = []
    for uuids in chunks(sorted(after.keys() | rows_of_recipients.keys())):
        before = states_before(batch, uuids)
        changed, added, removed = [], [], []
        for mailbox in lock_for_update(uuids):
            row = after.get(mailbox.pk)
            if row and mailbox.pk not in before:  # the batch made it
                if mailbox.version == row.version:
                    mailbox.deleted_at = now
                    changed.append(mailbox)
                else:
                    left.append(mailbox)
            elif row and not revert_batch(mailbox, before[mailbox.pk], row):
                left.append(mailbox)
            else:
                changed += [mailbox] if row else []
                more, fewer = revert_recipients(mailbox, rows_of_recipients[mailbox.pk])
                added += more
                removed += fewer
        write_batch(undoing, changed=changed, added=added, removed=removed)
    if not undoing.count:
        undoing.delete()
        return None, left
    batch.undone_at = now
    batch.save(update_fields=["undone_at"])
    return undoing, left


def states_before(batch, uuids) -> dict:
    """By mailbox, the row of history that stood when the batch began."""
    earlier = Mailbox.history.filter(
        uuid=OuterRef("uuid"), history_id__lt=OuterRef("history_id")
    ).order_by("-history_id")
    of_batch = Mailbox.history.filter(history_batch=batch, uuid__in=uuids).order_by()
    ids = of_batch.values_list(Subquery(earlier.values("history_id")[:1]), flat=True)
    return {row.uuid: row for row in Mailbox.history.filter(history_id__in=list(ids))}


def revert_batch(mailbox, before, after) -> bool:
    """Set what changed from `before` to `after` back; False, and nothing set, where it changed since."""
    fields = [
        field for field in STATE if before.comparable_value(field) != after.comparable_value(field)
    ]
    if any(mailbox.comparable_value(field) != after.comparable_value(field) for field in fields):
        return False
    mailbox.copy_fields(before, fields)
    if "deleted_at" in fields and mailbox.is_deleted:
        mailbox.deleted_at = timezone.now()  # from now on it can be restored, as after any deletion
    return True


def revert_recipients(mailbox, rows) -> tuple[list, list]:
    """The recipients to add and to remove, so that these rows of history are undone."""
    present = {recipient.pk: recipient for recipient in mailbox.email_recipients.all()}
    removed = [
        present[row.uuid]
        for row in rows
        if row.history_type == "+" and row.uuid in present and present[row.uuid].email == row.email
    ]
    return missing_mailboxes(
        mailbox, [row for row in rows if row.history_type == "-"], removed
    ), removed


def missing_mailboxes(mailbox, rows, removed) -> list[EmailRecipient]:
    """The recipients of these rows of history that the mailbox lacks, as many as there is room for."""
    staying = set(mailbox.email_recipients.all()) - set(removed)
    addresses = {recipient.email.lower() for recipient in staying}
    wanted = [row for row in rows if row.email.lower() not in addresses]
    taken = {recipient.pk for recipient in staying}  # by one that has another address now
    return [
        EmailRecipient(
            uuid=uuid4() if row.uuid in taken else row.uuid,
            mailbox=mailbox,
            email=row.email,
            position=row.position,
            created_at=row.created_at,
        )
        for row in wanted[: contract.MAX_RECIPIENTS - len(staying)]
    ]


@transaction.atomic
def put_back(mailbox: Mailbox, moment, user) -> Batch:
    """Give the mailbox the settings and recipients that it had at that moment, and put it in service.

    Raises HistoricalMailbox.DoesNotExist where it was not there yet.
    """
    (mailbox,) = lock_for_update([mailbox.pk])
    then = mailbox.history.filter(history_date__lte=moment).latest("history_id")
    mailbox.copy_fields(then, FIELDS)
    mailbox.deleted_at = None
    rows = (
        EmailRecipient.history.filter(mailbox_id=mailbox.pk, history_date__lte=moment)
        .latest_of_each()
        .exclude(history_type="-")
        .order_by(*WITHIN_MAILBOX)
    )
    # One that was added again since, or has another address, makes room for the one of then: where that stood.
    of_then = {(row.uuid, row.email) for row in rows}
    removed = [
        recipient
        for recipient in mailbox.email_recipients.all()
        if (recipient.pk, recipient.email) not in of_then
    ]
    batch = Batch.objects.create(user=user, action=Batch.Action.PUT_BACK)
    write_batch(
        batch, changed=[mailbox], added=missing_mailboxes(mailbox, rows, removed), removed=removed
    )
    return batch


def chunks(values: Iterable) -> Iterator[list]:
    """The values, some hundreds at a time."""
    values = iter(values)
    while some := list(islice(values, CHUNK_SIZE)):
        yield some
