"""Answers with a recording."""

import logging
from collections.abc import Callable

from django.http import HttpResponse

from mailboxes.audio.recordings import MEDIA_TYPE
from mailboxes.encryption import DamagedError, UnknownKeyError
from mailboxes.http.ranges import answer_with_range
from mailboxes.models import Message, SoundAudio

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
    return answer_audio(request, message.read_recording, get_recording_etag(message), message)


def answer_audio(
    request, read: Callable[[], bytes], etag: str, row: Message | SoundAudio
) -> HttpResponse:
    """Return the WAV file that `read` decrypts, or the wanted part of it.

    Raises UnreadableRecordingError, and UnsatisfiableRangeError.
    """
    try:
        content = read()
    except (OSError, UnknownKeyError, DamagedError):
        log.exception("The recording of %s %s cannot be read.", row._meta.model_name, row.pk)
        raise UnreadableRecordingError from None
    return answer_with_range(request, content, etag, MEDIA_TYPE)
