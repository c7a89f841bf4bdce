"""Changes of many messages by staff: mark, delete, restore, and undo."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from django.core import signing
from django.db import transaction
from django.db.models import Sum

from mailboxes.models import Batch, Mailbox, Message, MessageHistory

OPPOSITES = {"hear": "unhear", "unhear": "hear", "delete": "restore", "restore": "delete"}
# The permission that each action and its undo need.
PERMISSIONS = {
    "hear": "mailboxes.change_message",
    "unhear": "mailboxes.change_message",
    "delete": "mailboxes.delete_message",
    "restore": "mailboxes.delete_message",
}
# Actions that are listed among the changes by staff.
LISTED = {"delete": Batch.Action.DELETED, "restore": Batch.Action.RESTORED}
SALT = "mailboxes.message_changes"
MAX_ACCOUNTS = 100  # the most whose names are stored with a batch


class AlreadyUndoneError(Exception):
    pass


@dataclass
class MessageChange:
    """An action, the messages that it changed with their new states, and the others.

    A state is what staff can change. So a transcription that arrives later does not prevent undo.
    """

    action: str
    states: dict[UUID, str] = field(default_factory=dict)
    full: int = 0  # messages that were not restored, because their mailboxes are full
    gone: int = 0  # messages that have been deleted or restored meanwhile
    skipped: int = 0  # messages that have changed since the action that is undone
    batch: Batch | None = None

    @property
    def count(self) -> int:
        return len(self.states)

    def sign(self) -> str:
        """Return a text for a form, with which the change can be undone."""
        states = {uuid.hex: state for uuid, state in self.states.items()}
        return signing.dumps([self.action, states], salt=SALT, compress=True)

    @classmethod
    def read(cls, signed: str) -> "MessageChange":
        """Return the change that was signed. Raises signing.BadSignature."""
        action, states = signing.loads(signed, salt=SALT)
        return cls(action, {UUID(digits): state for digits, state in states.items()})

    @transaction.atomic
    def undo(self, user, undone: Batch | None = None) -> "MessageChange":
        """Do the opposite to those messages that have not changed since."""
        rows = lock_messages(self.states)
        unchanged = [row for row in rows if row.marks == self.states[row.pk]]
        undoing = change_rows(OPPOSITES[self.action], unchanged, user, undone=undone)
        undoing.skipped = self.count - len(unchanged) + undoing.gone
        undoing.gone = 0
        return undoing


@transaction.atomic
def change_messages(
    action: str, uuids: Iterable[UUID], user, batch_uuid: UUID | None = None
) -> MessageChange:
    """Hear, unhear, delete or restore messages. Those of deleted mailboxes stay as they are."""
    uuids = set(uuids)
    rows = lock_messages(uuids)
    change = change_rows(action, rows, user, batch_uuid)
    change.gone += len(uuids) - len(rows)
    return change


@transaction.atomic
def transcribe_again(uuid: UUID) -> None:
    """Transcribe a message again if that failed."""
    for row in lock_messages([uuid]):
        if row.transcription_status == Message.Status.FAILED:
            row.request_transcription()


def change_rows(
    action: str,
    rows: Iterable[Message],
    user,
    batch_uuid: UUID | None = None,
    undone: Batch | None = None,
) -> MessageChange:
    """Change the locked messages, except those that are in the wanted state already.

    Deletions and restorations become a batch with this UUID. `undone` is the one that they undo.
    """
    rows = list(rows)
    fitting = [row for row in rows if row.is_deleted == (action == "restore")]
    batch = None
    if action in LISTED and fitting:
        if batch_uuid is None or Batch.objects.filter(pk=batch_uuid).exists():  # undone since
            batch_uuid = uuid4()
        batch = Batch(pk=batch_uuid, user=user, of_messages=True)
        batch.action = Batch.Action.UNDONE if undone else LISTED[action]
        batch.save(force_insert=True)
    changed, full = Message.objects.change(action, fitting, user, batch)
    states = {row.pk: row.marks for row in changed}
    if batch and changed:
        describe(batch, changed)
        mark_undone(undone, batch)
    elif batch:
        batch.delete()
        batch = None
    gone = len(rows) - len(fitting)
    return MessageChange(action, states, len(full), gone, batch=batch)


def describe(batch: Batch, messages: Sequence[Message]) -> None:
    """Save the number of messages, their mailbox's name if it is one, and the accounts' names."""
    mailboxes = {message.mailbox_id: message.mailbox for message in messages}
    batch.count = len(messages)
    batch.name = next(iter(mailboxes.values())).name if len(mailboxes) == 1 else ""
    accounts = {mailbox.account.name for mailbox in mailboxes.values()}
    batch.accounts = sorted(accounts)[:MAX_ACCOUNTS]
    batch.save()


def mark_undone(undone: Batch | None, undoing: Batch) -> None:
    if undone:
        # The same time: see `BatchQuerySet.with_undone_count`.
        undone.undone_at = undoing.made_at
        undone.save(update_fields=["undone_at"])


@transaction.atomic
def undo_batch(batch: Batch, user) -> MessageChange:
    """Undo a deletion or restoration of messages. Raises AlreadyUndoneError."""
    batch = Batch.objects.select_for_update().get(pk=batch.pk)
    if batch.undone_at is not None:
        raise AlreadyUndoneError
    action, states = "delete", dict[UUID, str]()
    for entry in MessageHistory.objects.filter(history_batch=batch):
        action = entry.action
        states |= {UUID(digits): state for digits, state in entry.states.items()}
    return MessageChange(action, states).undo(user, batch)


def list_histories(batch: Batch):
    """Return the rows of the batch in the histories of mailboxes, by the mailboxes' names."""
    found = MessageHistory.objects.filter(history_batch=batch)
    return found.select_related("mailbox__account").order_by("mailbox__name", "pk")


def count_forgotten(batch: Batch) -> int:
    """Return how many messages of the batch are in no history any more."""
    known = MessageHistory.objects.filter(history_batch=batch).aggregate(all=Sum("count"))
    return batch.count - (known["all"] or 0)


def list_history(mailbox: Mailbox):
    """Return the deletions and restorations of the mailbox's messages, the last one first."""
    rows = MessageHistory.objects.filter(mailbox=mailbox)
    return rows.select_related("history_user", "history_credential__account").order_by("-pk")


def lock_messages(uuids: Iterable[UUID]) -> list[Message]:
    """Return these messages, locked after their mailboxes, as the API locks them."""
    messages = Message.objects.restorable().filter(pk__in=list(uuids))
    mailboxes = Mailbox.objects.active().filter(pk__in=messages.values("mailbox"))
    locked = list(mailboxes.select_for_update(of=("self",), no_key=True).order_by("pk"))
    found = messages.filter(mailbox__in=locked).select_related("mailbox__account")
    return list(found.select_for_update(of=("self",)).order_by("pk"))
