"""Messages that callers leave in mailboxes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import models, transaction
from django.db.models import ExpressionWrapper, F, Q, Value
from django.db.models.functions import Coalesce
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mailboxes import contract, validators
from mailboxes.audio.recordings import Recording, format_duration
from mailboxes.models.mailboxes import Mailbox, retention_start
from mailboxes.models.message_actions import Actions, MailboxFullError
from mailboxes.models.message_search import NEWEST_FIRST, Searches
from mailboxes.models.signals import message_received
from mailboxes.models.transcriptions import TranscribedRow
from mailboxes.storage import name_in_folders, recordings_store

# A telephone engine's clock may be ahead of ours by so much. Then its messages are received now.
MAX_AHEAD = timedelta(minutes=5)


class MessageQuerySet(Actions, Searches, models.QuerySet):
    def active(self):
        return self.filter(deleted_at=None)

    def unheard(self):
        return self.active().filter(heard_at=None)

    def deleted(self):
        """Return deleted messages that can be restored."""
        return self.filter(deleted_at__gt=retention_start())

    def restorable(self):
        return self.exclude(deleted_at__lte=retention_start())

    def past_retention(self):
        return self.filter(deleted_at__lte=retention_start())

    def of_removed_mailboxes(self):
        return self.filter(mailbox__deleted_at__lte=retention_start())

    def outdated(self):
        """Return the messages that are older than their account keeps them.

        Deleted ones are left out: they can be restored for RETENTION_DAYS.
        """
        days = Coalesce(
            "mailbox__account__message_days",
            settings.MESSAGE_RETENTION_DAYS,
            output_field=models.IntegerField(),
        )
        age = ExpressionWrapper(F("days") * Value(timedelta(days=1)), models.DurationField())
        start = ExpressionWrapper(Value(timezone.now()) - F("age"), models.DateTimeField())
        old = self.active().alias(days=days, age=age).filter(days__gt=0, received_at__lte=start)
        return old.filter(Q(heard_at__isnull=False) | Q(mailbox__account__removes_unheard=True))

    def older_than(self, moment: datetime, uuid: UUID):
        """Return the messages after one of this time and UUID in a list of the newest first."""
        return self.filter(received_at__lte=moment).exclude(received_at=moment, uuid__gte=uuid)

    def newer_than(self, moment: datetime, uuid: UUID):
        """Return the messages before one of this time and UUID in a list of the newest first."""
        return self.filter(received_at__gte=moment).exclude(received_at=moment, uuid__lte=uuid)


def name_recording(message: "Message", filename: str) -> str:
    """Return the name in the store."""
    return name_in_folders(message.uuid)


class Message(TranscribedRow):
    """A message. Its recording and transcription are encrypted with a key of its own."""

    ENCRYPTED_COLUMN = "key_sealed"
    FILE_COLUMNS = ("recording",)
    ENCRYPTED = ("key_sealed", "transcription_sealed")

    uuid = models.UUIDField(_("UUID"), primary_key=True, default=uuid4, editable=False)
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="messages")
    caller_id_name = models.CharField(
        max_length=contract.MAX_NAME_LENGTH, blank=True, validators=[validators.validate_printable]
    )
    caller_id_number = models.CharField(
        max_length=contract.MAX_NUMBER_LENGTH,
        blank=True,
        validators=[validators.validate_printable],
    )
    call_id = models.CharField(
        max_length=contract.MAX_CALL_ID_LENGTH,
        blank=True,
        validators=[validators.validate_printable],
    )
    received_at = models.DateTimeField(default=timezone.now)
    stored_at = models.DateTimeField(default=timezone.now, editable=False)
    duration = models.PositiveIntegerField(help_text="In whole seconds, rounded.")
    size = models.PositiveIntegerField(help_text="Of the recording, in bytes.")
    peaks = models.BinaryField(help_text="The loudness of 200 equal parts, from 0 to 255.")
    recording = models.FileField(storage=recordings_store, upload_to=name_recording)
    key_sealed = models.TextField()
    heard_at = models.DateTimeField(null=True)
    heard_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    deleted_at = models.DateTimeField(null=True)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    version = models.PositiveIntegerField(default=1, db_default=1)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = NEWEST_FIRST
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        permissions = [("listen_to_message", "Can listen to and read messages")]
        default_permissions = ["view", "change", "delete"]
        indexes = [
            models.Index(
                fields=["mailbox", *NEWEST_FIRST],
                condition=Q(deleted_at=None),
                name="messages_of_mailbox",
            ),
            models.Index(
                fields=["mailbox"],
                condition=Q(deleted_at=None, heard_at=None),
                name="unheard_messages",
            ),
            # With the callers, so that a search of all of them reads no rows.
            models.Index(
                fields=[*NEWEST_FIRST, "caller_id_name", "caller_id_number", "mailbox"],
                condition=Q(deleted_at=None),
                name="messages_by_time",
            ),
            models.Index(
                fields=[*NEWEST_FIRST],
                condition=Q(deleted_at=None, heard_at=None),
                name="unheard_messages_by_time",
            ),
            models.Index(
                fields=["deleted_at"],
                condition=Q(deleted_at__isnull=False),
                name="deleted_messages",
            ),
            models.Index(
                fields=["mailbox", *NEWEST_FIRST],
                condition=Q(deleted_at__isnull=False),
                name="deleted_messages_of_mailbox",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["mailbox", "call_id"],
                condition=~Q(call_id=""),
                name="call_once_per_mailbox",
            )
        ]

    def __str__(self):
        """Return a text for logs, so it has nothing that is about the caller."""
        return f"Message of {self.received_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"

    def save(self, **kwargs):
        """Save with the next version. Lock an existing row before you read and save it."""
        if not self._state.adding:
            self.version += 1
        super().save(**kwargs)

    @property
    def owner(self) -> bytes:
        return self.uuid.bytes

    @property
    def length(self) -> str:
        return format_duration(self.duration)

    @property
    def caller(self) -> str:
        return self.caller_id_name or self.caller_id_number or gettext("Unknown caller")

    @property
    def marks(self) -> str:
        """Return what staff change. While it is the same, a change can be undone."""
        return f"{self.heard_at} {self.deleted_at}"

    @property
    def is_heard(self) -> bool:
        return self.heard_at is not None

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None

    @property
    def state(self) -> str:
        return "deleted" if self.is_deleted else "heard" if self.is_heard else "unheard"

    @classmethod
    def receive(cls, mailbox: Mailbox, recording: Recording, **values) -> tuple["Message", bool]:
        """Store a message. Return it, or the one with the same `call_id`, and True if it is new.

        The recording is on disk before the row is. Raises MailboxFullError; OSError if the store
        fails; Mailbox.DoesNotExist if the mailbox was deleted meanwhile.
        """
        message = cls(mailbox=mailbox, **values)
        message.set_recording(recording)
        is_inserted = False
        try:
            with transaction.atomic():
                # Messages of a mailbox are added one at a time, so that they can be counted.
                active = Mailbox.objects.active().select_for_update(no_key=True)
                locked = active.get(pk=mailbox.pk)
                if earlier := cls.find_call(mailbox, message.call_id):
                    message.recording.delete(save=False)
                    return earlier, False
                cls.objects.check_room(mailbox)
                if locked.transcribe and settings.TRANSCRIBER:
                    message.transcription_status = cls.Status.PENDING
                message.save(force_insert=True)
                message_received.send(cls, message=message)
                message.resume_transcription()
                is_inserted = True
        except BaseException:
            # After an error of the commit, the row may be there: then its recording must be, too.
            if not is_inserted:
                message.recording.delete(save=False)
            raise
        return message, True

    def set_recording(self, recording: Recording) -> None:
        """Store the recording, encrypted with a new key, and set the columns that describe it."""
        wav = recording.to_wav()
        self.create_key()
        self.size = len(wav)
        self.duration = round(recording.seconds)
        self.peaks = recording.compute_peaks()
        self.write_file(self.recording, wav)

    @classmethod
    def find_call(cls, mailbox: Mailbox, call_id: str) -> "Message | None":
        """Return the mailbox's message of this call, deleted or not."""
        return cls.objects.filter(mailbox=mailbox, call_id=call_id).first() if call_id else None

    def read_recording(self) -> bytes:
        """Return the recording as a WAV file. Raises UnknownKeyError, OSError, DamagedError."""
        return self.read_file(self.recording)

    def change(self, action: str, user=None) -> None:
        """Hear, unhear, delete or restore the message, by a user or, without one, by a program.

        To restore it, lock its mailbox before. Raises MailboxFullError.
        """
        _changed, full = Message.objects.change(action, [self], user)
        if full:
            raise MailboxFullError

    def mark_heard(self, heard: bool, user=None) -> None:
        self.change("hear" if heard else "unhear", user)

    def soft_delete(self, user=None) -> None:
        self.change("delete", user)

    def restore(self) -> None:
        self.change("restore")


@receiver(post_delete, sender=Message)
def remove_recording(instance: Message, **kwargs) -> None:
    """Remove the recording of a removed message, once the row is gone for good."""
    instance.remove_files_on_commit()
