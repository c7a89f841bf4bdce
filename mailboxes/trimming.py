"""Removal of old history, which keeps the state that the rest of it starts from.

A history that was trimmed starts with rows of the type START: the mailbox as it was then, and its
recipients. They are no changes, but later states can still be compared with them and put back.
"""

from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Max, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Least
from django.utils import timezone
from django.utils.translation import gettext as _

from mailboxes.models import (
    Account,
    ApiCredential,
    Batch,
    EmailRecipient,
    Mailbox,
    MessageHistory,
    Sound,
)
from mailboxes.models.history import NEWEST_FIRST, START

CHUNK = 500  # rows that are removed in one transaction


def describe_trimming() -> str:
    return _(
        "Changes are kept for %(days)s days, and at most the last %(changes)s of each mailbox."
    ) % {"days": settings.HISTORY_DAYS, "changes": settings.HISTORY_CHANGES}


def trim_histories() -> int:
    """Remove what HISTORY_DAYS and HISTORY_CHANGES do not keep. Return the number of rows."""
    start = timezone.now() - timedelta(days=settings.HISTORY_DAYS)
    removed = sum(trim_history(uuid, start) for uuid in find_long_histories(start))
    for model in (Account, ApiCredential, Sound):
        removed += trim_table(model.history.all(), start, model._meta.pk.name)
    removed += remove(MessageHistory.objects.filter(history_date__lt=start))
    remove(find_forgotten_batches().filter(made_at__lt=start))
    return removed


def find_forgotten_batches() -> QuerySet[Batch]:
    """Return the batches that are in no history any more."""
    rows = {"history_batch": OuterRef("pk")}
    histories = (Mailbox.history, EmailRecipient.history, MessageHistory.objects)
    named = [Exists(history.filter(**rows)) for history in histories]
    return Batch.objects.exclude(reduce(or_, named))


def forget_removed_mailboxes() -> None:
    """Remove names and addresses from batches whose mailboxes are all removed."""
    find_forgotten_batches().exclude(effects=None, name="").update(effects=None, name="")


def trim_table(history: QuerySet, start: datetime, key: str) -> int:
    """Remove older changes of rows with this `key`; keep the state of each at this time.

    Return the number of removed rows.
    """
    old = history.filter(history_date__lt=start)
    later = old.filter(history_id__gt=OuterRef("history_id"), **{key: OuterRef(key)})
    removed = remove(old.filter(Exists(later) | Q(history_type="-")))
    old.exclude(history_type=START).update(history_type=START)
    return removed


def find_long_histories(start: datetime) -> set:
    """Return the UUIDs of mailboxes whose history may have rows to remove."""
    changed_often = Mailbox.objects.filter(version__gt=settings.HISTORY_CHANGES)
    uuids = set(changed_often.values_list("pk", flat=True))
    for model, key in ((Mailbox, "uuid"), (EmailRecipient, "mailbox_id")):
        old = model.history.filter(history_date__lt=start).order_by()
        later = old.filter(uuid=OuterRef("uuid"), history_id__gt=OuterRef("history_id"))
        uuids |= set(old.filter(Exists(later)).values_list(key, flat=True).distinct())
    return uuids


def trim_history(uuid, start: datetime) -> int:
    """Remove a mailbox's changes before this time, and the oldest beyond HISTORY_CHANGES.

    Return the number of removed rows.
    """
    tables = Mailbox.history.filter(uuid=uuid), EmailRecipient.history.filter(mailbox_id=uuid)
    with transaction.atomic():
        # Locked, so that nothing is put back or undone meanwhile.
        mailbox = Mailbox.objects.select_for_update().filter(pk=uuid).first()
        if mailbox is None:
            return 0
        # From the first recent change on, all are kept, also those with a time of a wrong clock.
        recent = [find_first_version(rows, start) or mailbox.version + 1 for rows in tables]
        last = max(min(recent) - 1, mailbox.version - settings.HISTORY_CHANGES)
        own, recipients = (rows.filter(version__lte=last) for rows in tables)
        state = own.order_by(*NEWEST_FIRST).values_list("pk", flat=True)[:1]
        latest = recipients.order_by().values("uuid").annotate(latest=Max("history_id"))
        present = recipients.filter(pk__in=latest.values("latest")).exclude(history_type="-")
        kept = [list(state), list(present.values_list("pk", flat=True))]
        surplus = [
            rows.exclude(pk__in=pks) for rows, pks in zip((own, recipients), kept, strict=True)
        ]
        if not any(rows.exists() for rows in surplus):
            return 0
        own.filter(pk__in=kept[0]).update(history_type=START, version=last, history_batch=None)
        recipients.filter(pk__in=kept[1]).update(history_type=START, history_batch=None)
    return sum(map(remove, surplus))


def find_first_version(rows: QuerySet, start: datetime) -> int | None:
    """Return the version that the first change since this time made."""
    recent = rows.filter(history_date__gte=start, version__gt=0).exclude(history_type=START)
    return recent.aggregate(first=Min("version"))["first"]


def remove(rows: QuerySet) -> int:
    """Remove the rows in short transactions, between which others write. Return their number."""
    removed = 0
    while pks := list(rows.order_by().values_list("pk", flat=True)[:CHUNK]):
        removed += rows.model.objects.filter(pk__in=pks).delete()[0]
    return removed


def place_rows_of_upgrade() -> None:
    """Place changes by processes of the version before, which gave them no place in the order.

    Such processes run until the reload that follows `migrate`.
    """
    earlier = Mailbox.history.filter(
        uuid=OuterRef("mailbox_id"), history_date__lte=OuterRef("history_date")
    )
    newest = Mailbox.objects.filter(pk=OuterRef("mailbox_id"))
    version = Least(1 + Subquery(earlier.values("version")[:1]), Subquery(newest.values("version")))
    EmailRecipient.history.filter(version=0).update(version=Coalesce(version, 1))
    earlier = Batch.objects.filter(number__gt=0, made_at__lte=OuterRef("made_at"))
    unnumbered = Batch.objects.filter(number=0)
    unnumbered.update(number=Coalesce(Subquery(earlier.values("number")[:1]), 0))
