"""Permanently remove deleted mailboxes after the retention time, and stale imports."""

from django.core.management.base import BaseCommand
from django.db import transaction

from mailboxes.models import ChangeFeed, EmailRecipient, Import, Mailbox, ServerProcess

BATCH = 500


class Command(BaseCommand):
    help = (
        "Remove mailboxes deleted longer ago than RETENTION_DAYS, with their recipients and "
        "history; imports started over a day ago; and records of server processes that were "
        "killed over a day ago."
    )

    def handle(self, *args, **options) -> str:
        Import.objects.expired().delete()
        ServerProcess.objects.expired().delete()
        removed = 0
        while count := purge_batch():
            removed += count
        return f"Removed {removed} mailboxes."


@transaction.atomic
def purge_batch() -> int:
    """Remove some mailboxes, and return their number.

    They are locked first, so that none is removed that was just restored. Their history is removed
    last, since the removal adds to it.
    """
    past = Mailbox.objects.past_retention().select_for_update()
    uuids = list(past.values_list("pk", flat=True)[:BATCH])
    mailboxes = Mailbox.objects.filter(pk__in=uuids)
    ChangeFeed.record_removal(mailboxes)
    mailboxes.delete()
    Mailbox.history.filter(uuid__in=uuids).delete()
    EmailRecipient.history.filter(mailbox_id__in=uuids).delete()
    return len(uuids)
