"""The history of a mailbox's messages: which were deleted and restored, by whom and when."""

from collections import defaultdict
from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils.translation import ngettext_lazy

from mailboxes.models.history import Batch, HistoryAuthor, HistoryRecords
from mailboxes.models.mailboxes import Mailbox

DONE = {
    "delete": ngettext_lazy("Deleted %(count)s message", "Deleted %(count)s messages", "count"),
    "restore": ngettext_lazy("Restored %(count)s message", "Restored %(count)s messages", "count"),
}


class MessageHistory(HistoryAuthor):
    """Messages of a mailbox that were deleted or restored at once. Marks are not recorded."""

    ACTIONS = ("delete", "restore")

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="message_history")
    action = models.CharField(max_length=16, choices=[(action, action) for action in ACTIONS])
    history_date = models.DateTimeField(db_index=True)
    history_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    count = models.PositiveIntegerField(help_text="The number of messages.")
    states = models.JSONField(help_text="The new state of each, by the digits of its UUID.")

    class Meta:
        verbose_name_plural = "message history"
        ordering = ["-pk"]

    def __str__(self):
        return DONE[self.action] % {"count": self.count}

    @staticmethod
    def record(action: str, messages, user=None, batch: Batch | None = None) -> None:
        """Record that these messages were deleted or restored, in a row for each mailbox.

        Without a user, the author is the caller of the current request.
        """
        states: dict[UUID, dict[str, str]] = defaultdict(dict)
        for message in messages:
            states[message.mailbox_id][message.pk.hex] = message.marks
        author = HistoryRecords.history_fields("~")
        author.pop("history_type")
        if user is not None:
            author["history_user_id"] = user.pk
        MessageHistory.objects.bulk_create(
            MessageHistory(
                mailbox_id=mailbox,
                action=action,
                count=len(of_mailbox),
                states=of_mailbox,
                history_batch=batch,
                **author,
            )
            for mailbox, of_mailbox in states.items()
        )

    # The two names that templates use for the author of any change.

    @property
    def user(self):
        return self.history_user

    @property
    def credential(self):
        return self.history_credential
