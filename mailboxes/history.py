"""The changes of a mailbox and its recipients, built from their history rows."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import zip_longest
from math import ceil
from operator import attrgetter, or_
from uuid import UUID

from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import OuterRef, Q, Subquery
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mailboxes.contract import MAILBOX_KEYS, MASK, READ_ONLY_KEYS
from mailboxes.models import (
    Account,
    ApiCredential,
    Batch,
    EmailRecipient,
    Mailbox,
    Message,
    Sound,
)
from mailboxes.models.history import NEWEST_FIRST, START
from mailboxes.models.mailboxes import retention_start
from mailboxes.models.sounds import name_greetings
from mailboxes.staff.log_texts import DOWNLOADED, EXPORTED, HEARD, READ, REVEALED
from mailboxes.staff.resubmission import wait_for_earlier_forms

LABELS = {field.name: field.verbose_name for field in Mailbox._meta.fields} | {
    "password": _("pass code")
}
# The keys of a batch's effects, as they are shown.
EFFECTS = LABELS | {
    "state": _("mailbox"),
    "recipient added": _("recipient added"),
    "recipient removed": _("recipient removed"),
}
STATES = {"deleted": _("deleted"), "restored": _("restored")}
ACCESSES = {
    HEARD: _("heard the message of"),
    READ: _("read the message of"),
    DOWNLOADED: _("downloaded the message of"),
}

AUTHORS = ("history_credential__account", "history_user")
# Many programs save again and again what is there already. So a page reads successive windows of
# versions until one has a change, at most this number with at most these versions.
MAX_WINDOWS, MAX_VERSIONS = 10, 1000

VERSION = re.compile("[1-9][0-9]{0,9}", re.ASCII)

FIELDS = [key for key in MAILBOX_KEYS if key not in READ_ONLY_KEYS]


@dataclass
class Change:
    """One change: the fields before and after it, the pass code masked."""

    mailbox: UUID
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
            getattr(row, "mailbox_id", row.uuid),
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


class HistoryPage:
    """The changes that `size` successive versions of a mailbox brought, the newest first.

    `older` is the `before` of the next page, or None on the last one. `is_trimmed` is True there if
    older changes have been removed. Versions give the order, since a clock may be set back.
    """

    def __init__(self, mailbox: Mailbox, size: int, before: int | None = None):
        self.mailbox, self.size = mailbox, size
        self.end = min(before or mailbox.version + 1, mailbox.version + 1)
        self.changes: list[Change] = []
        self.older: int | None = self.end
        self.is_trimmed = False
        for _number in range(min(MAX_WINDOWS, MAX_VERSIONS // size) or 1):
            if not self.changes and self.older:
                self.read_window(self.older)

    @property
    def is_first(self) -> bool:
        return self.end > self.mailbox.version

    @property
    def newer(self) -> int | None:
        """Return the `before` of the page before this one, or None if that is the first."""
        end = self.end + self.size
        return end if end <= self.mailbox.version else None

    def read_window(self, end: int) -> None:
        """Add the changes of the versions before `end`, in two queries."""
        database = self.mailbox._state.db  # the replica, if the mailbox was read there
        found = self.mailbox.history.using(database).filter(version__lt=end)
        found = found.select_related(*AUTHORS).order_by(*NEWEST_FIRST)
        rows = list(found[: self.size + 1])  # one more, for the state before the oldest change
        first = max(end - self.size, 1)
        start = next((row.version for row in rows if row.history_type == START), 0)
        if start:
            first = max(first, start + 1)
        is_start = start > 0 and first == start + 1
        self.is_trimmed = is_start or (not rows and end > 1)
        self.older = None if first == 1 or self.is_trimmed else first
        if first == 1:
            first = 0  # rows that were written during an upgrade have no version yet
        changes = [*mailbox_changes(rows, first)]
        of_recipients = EmailRecipient.history.using(database).filter(mailbox_id=self.mailbox.pk)
        changes += recipient_changes(of_recipients.filter(version__gte=first, version__lt=end))
        self.changes += sorted(changes, key=attrgetter("version"), reverse=True)


def parse_version(text: str | None) -> int | None:
    """Return the version, or None if the text is no positive number."""
    return int(text) if text and VERSION.fullmatch(text) else None


def mailbox_changes(rows, first: int) -> Iterator[Change]:
    """Yield the differences of rows, the newest first, from this version on."""
    for new, old in zip_longest(rows, rows[1:]):
        if new.version < first:
            return
        if old is None:
            yield Change.from_row(new, "created", after=masked_fields(new))
            return
        if bool(old.deleted_at) != bool(new.deleted_at):
            yield Change.from_row(new, "deleted" if new.deleted_at else "restored")
        if different := different_fields(old, new):
            before, after = (
                {field: fields[field] for field in different}
                for fields in map(masked_fields, (old, new))
            )
            yield Change.from_row(new, "changed", before, after)


def different_fields(old, new, fields: Iterable[str] = FIELDS) -> list[str]:
    return [field for field in fields if old.comparable_value(field) != new.comparable_value(field)]


def recipient_changes(rows) -> Iterator[Change]:
    earlier = EmailRecipient.history.filter(
        uuid=OuterRef("uuid"), history_id__lt=OuterRef("history_id")
    ).order_by("-history_id")
    rows = rows.exclude(history_type=START).select_related(*AUTHORS)
    rows = rows.annotate(old_email=Subquery(earlier.values("email")[:1]))
    for row in rows.order_by("-version", "history_id"):
        if row.history_type == "-":
            yield Change.from_row(row, "recipient removed", before={"email": row.email})
        elif row.history_type == "+" or row.old_email is None:
            yield Change.from_row(row, "recipient added", after={"email": row.email})
        elif row.old_email != row.email:
            emails = {"email": row.old_email}, {"email": row.email}
            yield Change.from_row(row, "recipient changed", *emails)


def masked_fields(row) -> dict:
    fields = {field: getattr(row, field) for field in FIELDS if field != "password"}
    return fields | {"password": MASK if row.password_sealed else None}


def list_set_greetings(batch: Batch) -> list[UUID | None]:
    """Return the greeting that the batch has set, in a list, if it has set one."""
    return [uuid and UUID(uuid) for uuid in (batch.effects or {}).get("greeting", [])]


def describe_effects(batch: Batch, greetings: dict) -> list[tuple]:
    """Return the label of each effect (see `Batch.effects`), and its value in a list.

    Several addresses become one value. `greetings` has their names (see `name_greetings`).
    """
    effects = dict(batch.effects or {})
    states = effects.pop("state", [None])
    if states != [None]:  # it deleted or restored mailboxes
        effects["state"] = [STATES[state] for state in states]
    if "greeting" in effects:
        effects["greeting"] = [greetings[uuid] or None for uuid in list_set_greetings(batch)]
    for key in {"recipient added", "recipient removed"}.intersection(effects):
        effects[key] = [", ".join(effects[key])] if effects[key] else []
    return [(capfirst(label), effects[key]) for key, label in EFFECTS.items() if key in effects]


def show_greeting_names(changes: Iterable[Change]) -> None:
    """Replace the greetings' UUIDs in these changes by texts, with one query."""
    values = [each for change in changes for each in (change.before, change.after)]
    values = [each for each in values if each.get("greeting")]
    names = name_greetings([each["greeting"] for each in values]) if values else {}
    for each in values:
        each["greeting"] = names[each["greeting"]]


def add_deletions(mailboxes) -> None:
    """Set two attributes of each of these deleted mailboxes, with two queries.

    `deletion` is the Change that deleted it, or None if the history does not have it any more, and
    `days_left` the number of days for which it can be restored.
    """
    # A deleted mailbox cannot be changed, so its newest row is the deletion.
    newest = Mailbox.history.filter(uuid=OuterRef("uuid")).order_by(*NEWEST_FIRST)
    found = Mailbox.objects.filter(pk__in=[mailbox.pk for mailbox in mailboxes]).order_by()
    ids = found.values_list(Subquery(newest.values("history_id")[:1]), flat=True)
    rows = Mailbox.history.filter(history_id__in=list(ids)).exclude(history_type=START)
    deletions = {row.uuid: Change.from_row(row, "deleted") for row in rows.select_related(*AUTHORS)}
    for mailbox in mailboxes:
        mailbox.deletion = deletions.get(mailbox.pk)
        left = mailbox.deleted_at - retention_start()
        mailbox.days_left = max(ceil(left / timedelta(days=1)), 0)


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


def record_access(kind: str, messages: Iterable[Message], user) -> None:
    """Write to the admin log that the user has HEARD, READ or DOWNLOADED these messages.

    Only the first time of each message and user is written.
    """
    mailboxes = {describe_access(kind, message): message.mailbox for message in messages}
    content_type = ContentType.objects.get_for_model(Mailbox)
    entries = LogEntry.objects.filter(
        user=user,
        content_type=content_type,
        object_id__in={str(mailbox.pk) for mailbox in mailboxes.values()},
        change_message__in=mailboxes,
    ).values_list("change_message", flat=True)
    if mailboxes.keys() <= set(entries):
        return
    with transaction.atomic():
        wait_for_earlier_forms(user)  # a player may ask for two parts at once
        written = set(entries.all())
        LogEntry.objects.bulk_create(
            LogEntry(
                user=user,
                content_type=content_type,
                object_id=str(mailbox.pk),
                object_repr=str(mailbox),
                action_flag=CHANGE,
                change_message=text,
            )
            for text, mailbox in mailboxes.items()
            if text not in written
        )


def describe_access(kind: str, message: Message) -> str:
    return f"{kind}: {message.received_at.astimezone(UTC).isoformat()} {message.pk}"


@dataclass
class Access:
    """A member of staff has heard, read or downloaded a message for the first time."""

    user: object
    at: datetime
    kind: str
    received_at: datetime  # of the message

    def __str__(self):
        return str(ACCESSES[self.kind])

    @classmethod
    def from_entry(cls, entry: LogEntry):
        kind, _colon, message = entry.change_message.partition(": ")
        return cls(entry.user, entry.action_time, kind, datetime.fromisoformat(message.split()[0]))


def list_accesses(mailbox: Mailbox):
    """Return the admin log's entries about the mailbox's messages, the last one first."""
    content_type = ContentType.objects.get_for_model(Mailbox)
    kinds = [Q(change_message__startswith=f"{kind}: ") for kind in ACCESSES]
    entries = LogEntry.objects.filter(
        reduce(or_, kinds), content_type=content_type, object_id=str(mailbox.pk)
    )
    return entries.select_related("user").order_by("-pk")


def list_reasons_to_keep(account: Account) -> list[str]:
    """Return why the account cannot be deleted, in words; an empty list if it can."""
    reasons = []
    authored = {"history_credential__in": account.credentials.all()}
    days = settings.RETENTION_DAYS
    if account.mailboxes.exists():
        text = ngettext(
            "It has mailboxes. Deleted ones count until they are removed for good, after %(days)s day.",
            "It has mailboxes. Deleted ones count until they are removed for good, after %(days)s days.",
            days,
        )
        reasons.append(text % {"days": days})
    elif any(
        model.history.filter(**authored).exists() for model in (Mailbox, EmailRecipient, Sound)
    ):
        reasons.append(
            gettext(
                "Its credentials have changed mailboxes or greetings of other accounts, "
                "whose history names them."
            )
        )
    if account.sounds.exists():
        text = ngettext(
            "It has greetings. Deleted ones count until they are removed for good, after %(days)s day.",
            "It has greetings. Deleted ones count until they are removed for good, after %(days)s days.",
            days,
        )
        reasons.append(text % {"days": days})
    if account.customers.exists():
        reasons.append(gettext("It has customers."))
    return reasons
