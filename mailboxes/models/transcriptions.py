"""The transcription of a message: its encrypted text, and the times of its sentences."""

import json
import logging
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from mailboxes.encryption import DamagedError, UnknownKeyError
from mailboxes.models.encrypted import RowWithKey
from mailboxes.models.mailboxes import Mailbox
from mailboxes.models.signals import message_transcribed, transcription_requested

log = logging.getLogger("mailboxes")


class Segment(NamedTuple):
    """A sentence or a part of one, with its times in seconds, if they are known."""

    start: float | None
    end: float | None
    text: str


class TranscribedRow(RowWithKey, models.Model):
    """A row with a transcription, encrypted with the row's key."""

    class Status(models.TextChoices):
        OFF = "off", _("Off")
        PENDING = "pending", _("Pending")
        DONE = "done", _("Done")
        NO_SPEECH = "no_speech", _("No speech")
        FAILED = "failed", _("Failed")

    uuid: UUID

    transcription_sealed = models.TextField(null=True)  # noqa: DJ001  null: no transcription
    segments_sealed = models.TextField(null=True)  # noqa: DJ001  null: times are unknown
    transcription_status = models.CharField(
        max_length=16, choices=Status, default=Status.OFF, db_default=Status.OFF
    )

    class Meta:
        abstract = True

    @property
    def transcription(self) -> str | None:
        """Return the decrypted text, or None. Raises UnknownKeyError."""
        if self.transcription_sealed is None:
            return None
        return self.cipher.decrypt_text(self.transcription_sealed, self.owner)

    @transcription.setter
    def transcription(self, text: str | None) -> None:
        """Set the text. The times belong to the text before, so they are removed."""
        sealed = None if text is None else self.cipher.encrypt_text(text, self.owner)
        self.transcription_sealed, self.segments_sealed = sealed, None

    @property
    def readable_transcription(self) -> str | None:
        """Return the transcription; None, and a line in the log, if it cannot be decrypted."""
        try:
            return self.transcription
        except (UnknownKeyError, DamagedError) as error:
            log.error("Message %s cannot be decrypted: %r", self.uuid, error)
            return None

    @property
    def first_line(self) -> str:
        """Return the first line of the transcription; an empty text if it cannot be read."""
        return next(iter((self.readable_transcription or "").splitlines()), "")

    @property
    def readable_segments(self) -> list[Segment]:
        """Return the segments with their times; none if times are unknown or cannot be read."""
        if self.segments_sealed is None:
            return []
        try:
            content = self.cipher.decrypt_text(self.segments_sealed, self.owner)
        except (UnknownKeyError, DamagedError):
            return []  # nor can the transcription, which is logged
        return [Segment(*values) for values in json.loads(content)]

    def set_segments(self, segments: Sequence[Segment]) -> None:
        """Set the transcription and, if all are known, its times. Raises UnknownKeyError."""
        self.transcription = " ".join(segment.text for segment in segments)
        if all(None not in segment for segment in segments):
            self.segments_sealed = self.cipher.encrypt_text(json.dumps(segments), self.owner)

    def request_transcription(self) -> None:
        """Request a transcription, for the first time or again. The message must be locked."""
        self.transcription_status = self.Status.PENDING
        self.save()
        self.resume_transcription()

    def resume_transcription(self) -> None:
        """Send `transcription_requested` for a message that waits for its transcription."""
        if self.transcription_status == self.Status.PENDING:
            transcription_requested.send(type(self), message=self)

    @classmethod
    def waiting(cls):
        """Return the messages to transcribe: failed ones too, because they can be tried again.

        Deleted ones wait for their restore.
        """
        statuses = [cls.Status.PENDING, cls.Status.FAILED]
        return cls._base_manager.filter(deleted_at=None, transcription_status__in=statuses)

    @classmethod
    @transaction.atomic
    def finish_transcription(
        cls, uuid: UUID, status: str, segments: Sequence[Segment] = ()
    ) -> bool:
        """Save the outcome for a message that waits for it, and send `message_transcribed`.

        Return False if nothing changes: the message was removed, deleted or transcribed meanwhile.
        Raises UnknownKeyError if there are segments and the message's key cannot be decrypted.
        """
        # The mailbox is locked first, as it is wherever its messages are changed.
        Mailbox.objects.select_for_update(of=("self",), no_key=True).filter(messages=uuid).first()
        message = cls.waiting().select_for_update().filter(pk=uuid).first()
        if message is None or message.transcription_status == status:
            return False
        message.transcription_status = status
        if segments:
            message.set_segments(segments)
        message.save()
        message_transcribed.send(cls, message=message)
        return True
