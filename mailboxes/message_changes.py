"""Changes of many messages by staff: mark, delete, restore, and undo."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.core import signing
from django.db import transaction

from mailboxes.models import Mailbox, Message
from mailboxes.models.messages import MailboxFullError

OPPOSITES = {"hear": "unhear", "unhear": "hear", "delete": "restore", "restore": "delete"}
# The permission that each action and its undo need.
PERMISSIONS = {
    "hear": "mailboxes.change_message",
    "unhear": "mailboxes.change_message",
    "delete": "mailboxes.delete_message",
    "restore": "mailboxes.delete_message",
}
SALT = "mailboxes.message_changes"


@dataclass
class MessageChange:
    """An action, the messages that it changed with their new versions, and the others."""

    action: str
    versions: dict[UUID, int] = field(default_factory=dict)
    full: int = 0  # messages that were not restored, because their mailboxes are full
    skipped: int = 0  # messages that have changed since the action that is undone

    @property
    def count(self) -> int:
        return len(self.versions)

    def sign(self) -> str:
        """Return a text for a form, with which the change can be undone."""
        versions = {uuid.hex: version for uuid, version in self.versions.items()}
        return signing.dumps([self.action, versions], salt=SALT, compress=True)

    @classmethod
    def read(cls, signed: str) -> "MessageChange":
        """Return the change that was signed. Raises signing.BadSignature."""
        action, versions = signing.loads(signed, salt=SALT)
        return cls(action, {UUID(digits): version for digits, version in versions.items()})

    @transaction.atomic
    def undo(self, user) -> "MessageChange":
        """Do the opposite to those messages that have not changed since."""
        rows = lock_messages(self.versions)
        unchanged = [row for row in rows if row.version == self.versions[row.pk]]
        undoing = change_rows(OPPOSITES[self.action], unchanged, user)
        undoing.skipped = self.count - len(unchanged)
        return undoing


@transaction.atomic
def change_messages(action: str, uuids: Iterable[UUID], user) -> MessageChange:
    """Hear, unhear, delete or restore messages. Those of deleted mailboxes stay as they are."""
    return change_rows(action, lock_messages(uuids), user)


@transaction.atomic
def transcribe_again(uuid: UUID) -> None:
    """Transcribe a message again if that failed."""
    for row in lock_messages([uuid]):
        if row.transcription_status == Message.Status.FAILED:
            row.request_transcription()


def change_rows(action: str, rows: Iterable[Message], user) -> MessageChange:
    """Change those locked messages that are not as wanted already."""
    change = MessageChange(action)
    for row in rows:
        if row.is_deleted != (action == "restore"):
            continue
        before = row.version
        try:
            row.change(action, user)
        except MailboxFullError:
            change.full += 1
            continue
        if row.version != before:
            change.versions[row.pk] = row.version
    return change


def lock_messages(uuids: Iterable[UUID]) -> list[Message]:
    """Return these messages, locked after their mailboxes, as the API locks them."""
    messages = Message.objects.restorable().filter(pk__in=list(uuids))
    mailboxes = Mailbox.objects.active().filter(pk__in=messages.values("mailbox"))
    locked = list(mailboxes.select_for_update(of=("self",), no_key=True).order_by("pk"))
    found = messages.filter(mailbox__in=locked).select_related("mailbox")
    return list(found.select_for_update(of=("self",)).order_by("pk"))
