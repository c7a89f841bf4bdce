"""Hear, unhear, delete and restore messages: each is one update for all of them."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F
from django.utils import timezone

from mailboxes.models.message_history import MessageHistory
from mailboxes.models.signals import messages_deleted


class MailboxFullError(Exception):
    """The mailbox has MESSAGES_PER_MAILBOX messages."""

    def __init__(self) -> None:
        super().__init__(
            f"The mailbox has {settings.MESSAGES_PER_MAILBOX} messages, the most that it may have: "
            "delete some."
        )


class Actions:
    """Methods of the queryset of messages."""

    def count_room(self: Any, mailboxes: Iterable[UUID]) -> dict[UUID, int]:
        """Return how many messages each of these locked mailboxes can still get."""
        room = dict.fromkeys(mailboxes, settings.MESSAGES_PER_MAILBOX)
        present = self.filter(mailbox__in=room, deleted_at=None).order_by()
        for mailbox, count in present.values_list("mailbox").annotate(Count("pk")):
            room[mailbox] -= count
        return room

    def check_room(self: Any, mailbox) -> None:
        """Raise MailboxFullError if the locked mailbox can have no more messages."""
        if self.count_room([mailbox.pk])[mailbox.pk] <= 0:
            raise MailboxFullError

    @transaction.atomic
    def change(self: Any, action: str, rows: Sequence, user=None, batch=None) -> tuple[list, list]:
        """Change these messages, and return those that changed, and those that did not fit.

        The mailboxes of messages to restore must be locked. Messages that are in the wanted
        state already are left out. Without a user, the author is the caller of the current request.
        """
        changed = [row for row in rows if is_changed(row, action)]
        full: list = []
        if action == "restore":
            room = self.count_room({row.mailbox_id for row in changed})
            restored, changed = changed, []
            for row in restored:
                room[row.mailbox_id] -= 1
                (changed if room[row.mailbox_id] >= 0 else full).append(row)
        if not changed:
            return changed, full
        self.update_rows(changed, get_values(action, user))
        if action in MessageHistory.ACTIONS:
            MessageHistory.record(action, changed, user, batch)
        if action == "delete":
            messages_deleted.send(self.model, messages=changed)
        elif action == "restore":
            for row in changed:
                row.resume_transcription()
        return changed, full

    def update_rows(self: Any, rows: Sequence, values: dict) -> None:
        """Set these values of the rows, and their next versions, in the database and here."""
        found = self.filter(pk__in=[row.pk for row in rows])
        found.update(**values, version=F("version") + 1)
        for row in rows:
            row.version += 1
            for name, value in values.items():
                setattr(row, name, value)

    def change_each(self: Any, action: str, uuids: Iterable[UUID]) -> tuple[list[UUID], list[dict]]:
        """Change these messages of one locked mailbox.

        Return the UUIDs of those that are now in the wanted state, and the other UUIDs with a code:
        `not_found`, or `full` if the mailbox is full.
        """
        uuids = list(dict.fromkeys(uuids))
        found = self.in_bulk(uuids)
        _changed, full = self.model.objects.change(action, [found[u] for u in uuids if u in found])
        codes = {row.pk: "full" for row in full}
        codes |= {uuid: "not_found" for uuid in uuids if uuid not in found}
        done = [uuid for uuid in uuids if uuid not in codes]
        return done, [{"uuid": uuid, "code": codes[uuid]} for uuid in uuids if uuid in codes]


def is_changed(row, action: str) -> bool:
    """Return True if the action changes the message."""
    is_wanted = action in {"hear", "delete"}
    return (row.is_heard if "hear" in action else row.is_deleted) != is_wanted


def get_values(action: str, user) -> dict:
    """Return the fields that the action sets. Without a user, a program does it."""
    is_wanted = action in {"hear", "delete"}
    moment, author = (timezone.now(), user) if is_wanted else (None, None)
    if "hear" in action:
        return {"heard_at": moment, "heard_by": author}
    return {"deleted_at": moment, "deleted_by": author}
