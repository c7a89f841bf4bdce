"""What happened to a mailbox: its rows of history and its recipients', told as changes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from operator import attrgetter
from uuid import UUID

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from mailboxes.contract import MAILBOX_KEYS, MASK, READ_ONLY_KEYS
from mailboxes.models import ApiCredential, EmailRecipient, Mailbox

LABELS = {field.name: field.verbose_name for field in Mailbox._meta.fields} | {
    "password": _("pass code")
}
# What the admin's log says of a pass code that a person got to see.
REVEALED, EXPORTED = "Pass code shown.", "Pass code exported."

FIELDS = [key for key in MAILBOX_KEYS if key not in READ_ONLY_KEYS]


@dataclass
class Change:
    """One change: what stood before and what after, the pass code masked."""

    action: str
    at: datetime
    credential: ApiCredential | None
    user: object | None
    batch: UUID | None
    before: dict
    after: dict

    @classmethod
    def seen_in(cls, row, action, before=None, after=None):
        return cls(
            action,
            row.history_date,
            row.history_credential,
            row.history_user,
            row.history_batch_id,
            before or {},
            after or {},
        )

    @property
    def steps(self) -> list[tuple]:
        """The mailbox's settings that it set: each one's name, what stood before, what after."""
        return [
            (capfirst(LABELS[name]), self.before.get(name), self.after[name])
            for name in FIELDS
            if name in self.after
        ]


def changes(mailbox: Mailbox) -> list[Change]:
    """All that happened to the mailbox and its recipients, the newest first; in two queries."""
    authors = ("history_credential__account", "history_user")
    database = mailbox._state.db  # where it was read
    own = mailbox.history.using(database).select_related(*authors).order_by("history_id")
    recipients = (
        EmailRecipient.history.using(database)
        .filter(mailbox_id=mailbox.pk)
        .select_related(*authors)
        .order_by("uuid", "history_id")
    )
    told = [*changes_of_mailbox(list(own))]
    for _uuid, rows in groupby(recipients, attrgetter("uuid")):
        told += changes_of_recipient(list(rows))
    return sorted(told, key=attrgetter("at"), reverse=True)


def changes_of_mailbox(rows) -> Iterator[Change]:
    """Creation, then each step from one row to the next. A row that repeats the last one is no change."""
    if not rows:
        return
    yield Change.seen_in(rows[0], "created", after=shown(rows[0]))
    for old, new in pairwise(rows):
        if bool(old.deleted_at) != bool(new.deleted_at):
            yield Change.seen_in(new, "deleted" if new.deleted_at else "restored")
        different = [
            field for field in FIELDS if old.comparable_value(field) != new.comparable_value(field)
        ]
        if different:
            yield Change.seen_in(
                new,
                "changed",
                before={field: shown(old)[field] for field in different},
                after={field: shown(new)[field] for field in different},
            )


def changes_of_recipient(rows) -> Iterator[Change]:
    """Its address as it was added, changed and removed."""
    yield Change.seen_in(rows[0], "recipient added", after={"email": rows[0].email})
    for old, new in pairwise(rows):
        before = {"email": old.email}
        if new.history_type == "-":
            yield Change.seen_in(new, "recipient removed", before=before)
        elif old.history_type == "-":
            yield Change.seen_in(new, "recipient added", after={"email": new.email})
        elif old.email != new.email:
            yield Change.seen_in(
                new, "recipient changed", before=before, after={"email": new.email}
            )


def shown(row) -> dict:
    """The fields of a row, the pass code masked."""
    shown = {field: getattr(row, field) for field in FIELDS if field != "password"}
    return shown | {"password": MASK if row.password_sealed else None}


def reveal(mailbox: Mailbox, user) -> str | None:
    """The pass code in clear, for a person to read: that it was shown is written in the log. Raises UnknownKeyError."""
    code = mailbox.password
    LogEntry.objects.log_actions(user.pk, [mailbox], CHANGE, REVEALED, single_object=True)
    return code


def reveals(mailbox: Mailbox):
    """When the pass code was shown or exported, and to whom: rows of the log, the newest first."""
    kind = ContentType.objects.get_for_model(Mailbox)
    shown = LogEntry.objects.filter(content_type=kind, object_id=str(mailbox.pk))
    return shown.filter(change_message__in=[REVEALED, EXPORTED]).select_related("user")
