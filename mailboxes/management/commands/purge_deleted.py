"""Removes for good what was deleted longer ago than the retention time, and what was left half-way."""

from django.core.management.base import BaseCommand
from django.db import transaction

from mailboxes.models import EmailRecipient, Import, Mailbox, ServerProcess

BATCH = 500


class Command(BaseCommand):
    help = "Remove mailboxes deleted longer ago than RETENTION_DAYS, with their recipients and history; imports that were begun over a day ago; and what processes of the server left that were killed over a day ago."

    def handle(self, *args, **options) -> str:
        Import.objects.expired().delete()
        ServerProcess.objects.expired().delete()
        removed = 0
        while count := purge():
            removed += count
        return f"Removed {removed} mailboxes."


@transaction.atomic
def purge() -> int:
    """Remove some mailboxes, then their history, to which the removal has added; say how many.

    They are held first, so that none is removed which somebody has just restored.
    """
    past = Mailbox.objects.past_retention().select_for_update()
    uuids = list(past.values_list("pk", flat=True)[:BATCH])
    Mailbox.objects.filter(pk__in=uuids).delete()
    Mailbox.history.filter(uuid__in=uuids).delete()
    EmailRecipient.history.filter(mailbox_id__in=uuids).delete()
    return len(uuids)
