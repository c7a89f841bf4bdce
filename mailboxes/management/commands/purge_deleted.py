"""Remove mailboxes and messages deleted long ago, old history, and stale imports."""

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from mailboxes.delivery.jobs import remove_finished
from mailboxes.models import ChangeFeed, EmailRecipient, Import, Mailbox, Message, ServerProcess
from mailboxes.purging import (
    remove_deliveries,
    remove_mails,
    remove_messages,
    remove_orphans,
    remove_sounds,
)
from mailboxes.trimming import (
    forget_removed_mailboxes,
    place_rows_of_upgrade,
    trim_histories,
    trim_history,
)

BATCH = 500
LONG_HISTORY = 50  # versions


class Command(BaseCommand):
    help = (
        "Remove mailboxes and messages deleted longer ago than RETENTION_DAYS, with their "
        "recipients, history and recordings; messages that are older than their account keeps "
        "them; changes past HISTORY_DAYS or HISTORY_CHANGES; imports started over a day ago; "
        "records of server processes that were killed over a day ago; tasks that ended two weeks "
        "ago, or failed 30 days ago; events of webhooks after 30 days; the states of mails that "
        "ended 30 days ago; greetings deleted or replaced longer ago than RETENTION_DAYS; and "
        "recordings over a day old that no message or greeting has."
    )

    def handle(self, *args, **options) -> str:
        Import.objects.expired().delete()
        ServerProcess.objects.expired().delete()
        place_rows_of_upgrade()
        if rows := trim_histories():
            self.stdout.write(f"Removed {rows} old rows of history.")
        for messages, reason in (
            (Message.objects.past_retention(), "deleted messages"),
            (Message.objects.outdated(), "messages that were older than their accounts keep them"),
            (Message.objects.of_removed_mailboxes(), "messages of removed mailboxes"),
        ):
            if count := remove_messages(messages):
                self.stdout.write(f"Removed {count} {reason}.")
        long_histories = Mailbox.objects.past_retention().filter(version__gt=LONG_HISTORY)
        for uuid in long_histories.values_list("pk", flat=True):
            trim_history(uuid, timezone.now())  # a batch would lock the database for too long
        remove_finished()
        remove_deliveries()
        remove_mails()
        if count := remove_sounds():
            self.stdout.write(f"Removed {count} deleted greetings.")
        removed = 0
        while count := purge_batch():
            removed += count
        forget_removed_mailboxes()
        self.stdout.write(f"Removed {removed} mailboxes.")
        try:
            orphans = remove_orphans()
        except OSError as error:
            raise CommandError(
                f"Recordings without a message or greeting cannot be removed: {error}. Run this again later."
            ) from None
        return f"Removed {orphans} recordings without a message or greeting." if orphans else ""


@transaction.atomic
def purge_batch() -> int:
    """Remove some mailboxes, and return their number.

    They are locked first, so that none is removed that was just restored.
    """
    past = Mailbox.objects.past_retention().select_for_update()
    uuids = list(past.values_list("pk", flat=True)[:BATCH])
    mailboxes = Mailbox.objects.filter(pk__in=uuids)
    ChangeFeed.record_removal(mailboxes)
    recipients = EmailRecipient.objects.filter(mailbox__in=uuids)
    recipients._raw_delete(recipients.db)  # with signals each row would get a history row
    mailboxes.delete()
    Mailbox.history.filter(uuid__in=uuids).delete()
    EmailRecipient.history.filter(mailbox_id__in=uuids).delete()
    return len(uuids)
