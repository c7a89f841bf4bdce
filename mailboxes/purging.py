"""Removal of messages, recordings and deliveries of webhooks, for purge_deleted."""

from datetime import timedelta
from itertools import islice
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from mailboxes.models import MailDelivery, Message, Sound, SoundAudio, WebhookDelivery
from mailboxes.models.mailboxes import retention_start
from mailboxes.storage import RECORDING, recordings_store

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


def remove_sounds() -> int:
    """Remove sounds deleted, and audio replaced, long ago. Return the number of sounds."""
    removed = 0
    while pks := list(Sound.objects.past_retention().values_list("pk", flat=True)[:BATCH]):
        removed += remove_some_sounds(pks)
    while remove_replaced_audio():
        pass
    return removed


@transaction.atomic
def remove_replaced_audio() -> int:
    """Remove some audio replaced long ago, unless it was just put back. Return the number."""
    audio = SoundAudio.objects.past_retention().select_for_update(of=("self",))
    pks = [row.pk for row in audio[:BATCH]]
    SoundAudio.objects.filter(pk__in=pks).delete()
    return len(pks)


@transaction.atomic
def remove_some_sounds(pks: list[UUID]) -> int:
    """Remove these sounds, unless they were just restored."""
    sounds = Sound.objects.past_retention().filter(pk__in=pks).select_for_update()
    audio = {sound.pk: sound.audio_id for sound in sounds}
    removed = Sound.objects.filter(pk__in=audio)
    removed._raw_delete(removed.db)  # with signals each row would get a history row
    Sound.history.filter(uuid__in=audio).delete()
    SoundAudio.objects.filter(pk__in=audio.values()).update(replaced_at=retention_start())
    return len(audio)


def remove_mails() -> None:
    """Remove the records of mails that ended long ago, in short transactions."""
    outdated = MailDelivery.objects.outdated().values_list("pk", flat=True)
    while pks := list(outdated[:BATCH]):
        MailDelivery.objects.filter(pk__in=pks).delete()


def remove_orphans() -> int:
    """Remove recordings without a message or sound, and return their number. Raises OSError.

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
    """Return the names that messages or sounds have."""
    uuids = [UUID(match[3]) for name in names if (match := RECORDING.fullmatch(name))]
    owned = set(Message.objects.filter(pk__in=uuids).values_list("recording", flat=True))
    for column in SoundAudio.FILE_COLUMNS:
        found = SoundAudio.objects.filter(**{f"{column}__in": names})
        owned |= set(found.values_list(column, flat=True))
    return owned


def remove_deliveries() -> int:
    """Remove old events of webhooks, in short transactions, and return their number."""
    removed = 0
    expired = WebhookDelivery.objects.expired().order_by("created_at").values_list("pk", flat=True)
    while pks := list(expired[:BATCH]):
        removed += WebhookDelivery.objects.filter(pk__in=pks).delete()[0]
    return removed
