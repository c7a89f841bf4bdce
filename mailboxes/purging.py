"""Removal of messages, recordings and deliveries of webhooks, for purge_deleted."""

from datetime import timedelta
from itertools import islice
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from mailboxes.models import MailDelivery, Message, WebhookDelivery
from mailboxes.models.messages import recordings_store
from mailboxes.storage import RECORDING

BATCH = 500

# A recording is stored before its row. Much longer than that takes, in case clocks differ.
UPLOAD_TIME = timedelta(days=1)


def remove_messages(messages: QuerySet[Message]) -> int:
    """Remove messages for good, in short transactions, and return their number.

    Those that somebody is changing are skipped: the next run removes them, if they still match.
    """
    removed, last = 0, UUID(int=0)
    in_order = messages.order_by("pk").values_list("pk", flat=True)
    while pks := list(in_order.filter(pk__gt=last)[:BATCH]):
        removed += remove_batch(messages.filter(pk__in=pks))
        last = pks[-1]
    return removed


@transaction.atomic
def remove_batch(messages: QuerySet[Message]) -> int:
    locked = messages.select_related("mailbox").select_for_update(
        of=("self", "mailbox"), no_key=True, skip_locked=True
    )
    pks = [message.pk for message in locked]
    Message.objects.filter(pk__in=pks).delete()
    return len(pks)


def remove_mails() -> None:
    """Remove the records of mails that ended long ago, in short transactions."""
    outdated = MailDelivery.objects.outdated().values_list("pk", flat=True)
    while pks := list(outdated[:BATCH]):
        MailDelivery.objects.filter(pk__in=pks).delete()


def remove_orphans() -> int:
    """Remove recordings without a message, and return their number. Raises OSError.

    A process that was killed leaves them, and a restore that replaces other data. Files that are
    not named like a recording stay, and those of the last day, which may be uploads in progress.
    """
    removed = 0
    store, start = recordings_store(), timezone.now() - UPLOAD_TIME
    old = (name for name, time in store.walk() if time < start)
    while names := set(islice(old, BATCH)):
        for name in names - find_owned(names):
            store.delete(name)
            removed += 1
    return removed


def find_owned(names: set[str]) -> set[str]:
    """Return the names that messages have."""
    uuids = [UUID(match[3]) for name in names if (match := RECORDING.fullmatch(name))]
    messages = Message.objects.filter(pk__in=uuids)
    return set(messages.values_list("recording", flat=True))


def remove_deliveries() -> int:
    """Remove old events of webhooks, in short transactions, and return their number."""
    removed = 0
    expired = WebhookDelivery.objects.expired().order_by("created_at").values_list("pk", flat=True)
    while pks := list(expired[:BATCH]):
        removed += WebhookDelivery.objects.filter(pk__in=pks).delete()[0]
    return removed
