"""Answers with the recording of a message."""

import logging

from django.http import HttpResponse

from mailboxes.audio.recordings import MEDIA_TYPE
from mailboxes.encryption import DamagedError, UnknownKeyError
from mailboxes.http.ranges import answer_with_range
from mailboxes.models import Message

log = logging.getLogger("mailboxes")


class UnreadableRecordingError(Exception):
    """The store fails or has lost it, its key is missing, or it was damaged. The log has why."""


def get_recording_etag(message: Message) -> str:
    """Return the ETag of the recording, which never changes."""
    return f'"{message.pk}"'


def answer_recording(request, message: Message) -> HttpResponse:
    """Return the recording, or the wanted part of it.

    Raises UnreadableRecordingError, and UnsatisfiableRangeError.
    """
    try:
        content = message.read_recording()
    except (OSError, UnknownKeyError, DamagedError):
        log.exception("The recording of message %s cannot be read.", message.pk)
        raise UnreadableRecordingError from None
    return answer_with_range(request, content, get_recording_etag(message), MEDIA_TYPE)
