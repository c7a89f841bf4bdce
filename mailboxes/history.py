"""The changes of a mailbox and its recipients, built from their history rows."""

import re
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
# Messages in the admin log when a person sees a pass code.
REVEALED, EXPORTED = "Pass code shown.", "Pass code exported."

VERSION = re.compile("[1-9][0-9]{0,9}", re.ASCII)

FIELDS = [key for key in MAILBOX_KEYS if key not in READ_ONLY_KEYS]


@dataclass
class Change:
    """One change: the fields before and after it, the pass code masked."""

    action: str
    at: datetime
    credential: ApiCredential | None
    user: object | None
    batch: UUID | None
    version: int  # of the mailbox, after the change
    before: dict
    after: dict

    @classmethod
    def from_row(cls, row, action, before=None, after=None):
        return cls(
            action,
            row.history_date,
            row.history_credential,
            row.history_user,
            row.history_batch_id,
            row.version,
            before or {},
            after or {},
        )

    @property
    def steps(self) -> list[tuple]:
        return [
            (capfirst(LABELS[name]), self.before.get(name), self.after[name])
            for name in FIELDS
            if name in self.after
        ]


def list_changes(mailbox: Mailbox) -> list[Change]:
    """Return all changes of the mailbox and its recipients, the newest first, in two queries."""
    authors = ("history_credential__account", "history_user")
    database = mailbox._state.db  # the replica, if the mailbox was read there
    own = mailbox.history.using(database).select_related(*authors).order_by("history_id")
    recipients = (
        EmailRecipient.history.using(database)
        .filter(mailbox_id=mailbox.pk)
        .select_related(*authors)
        .order_by("uuid", "history_id")
    )
    changes = [*mailbox_changes(list(own))]
    for _uuid, rows in groupby(recipients, attrgetter("uuid")):
        changes += recipient_changes(list(rows))
    # Not by time, because a clock may be set back.
    return sorted(changes, key=attrgetter("version"), reverse=True)


def mailbox_changes(rows) -> Iterator[Change]:
    """Yield the mailbox's creation, then how each history row differs from the one before it."""
    if not rows:
        return
    yield Change.from_row(rows[0], "created", after=masked_fields(rows[0]))
    for old, new in pairwise(rows):
        if bool(old.deleted_at) != bool(new.deleted_at):
            yield Change.from_row(new, "deleted" if new.deleted_at else "restored")
        different = [
            field for field in FIELDS if old.comparable_value(field) != new.comparable_value(field)
        ]
        if different:
            before, after = (
                {field: fields[field] for field in different}
                for fields in map(masked_fields, (old, new))
            )
            yield Change.from_row(new, "changed", before, after)


def recipient_changes(rows) -> Iterator[Change]:
    yield Change.from_row(rows[0], "recipient added", after={"email": rows[0].email})
    for old, new in pairwise(rows):
        before = {"email": old.email}
        if new.history_type == "-":
            yield Change.from_row(new, "recipient removed", before=before)
        elif old.history_type == "-":
            yield Change.from_row(new, "recipient added", after={"email": new.email})
        elif old.email != new.email:
            yield Change.from_row(
                new, "recipient changed", before=before, after={"email": new.email}
            )


def parse_version(text: str | None) -> int | None:
    """Return the version, or None if the text is no positive number."""
    return int(text) if text and VERSION.fullmatch(text) else None


def masked_fields(row) -> dict:
    fields = {field: getattr(row, field) for field in FIELDS if field != "password"}
    return fields | {"password": MASK if row.password_sealed else None}


def reveal_pass_code(mailbox: Mailbox, user) -> str | None:
    """Return the pass code, and write to the admin log that the user saw it.

    Raises UnknownKeyError if it cannot be decrypted.
    """
    code = mailbox.password
    LogEntry.objects.log_actions(user.pk, [mailbox], CHANGE, REVEALED, single_object=True)
    return code


def list_reveals(mailbox: Mailbox):
    """Return the admin log's entries of the pass code shown or exported, the last one first."""
    content_type = ContentType.objects.get_for_model(Mailbox)
    entries = LogEntry.objects.filter(content_type=content_type, object_id=str(mailbox.pk))
    entries = entries.filter(change_message__in=[REVEALED, EXPORTED]).select_related("user")
    return entries.order_by("-pk")
