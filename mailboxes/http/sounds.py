"""Answers with the audio of a sound."""

from django.http import HttpResponse
from django.utils.cache import get_conditional_response

from mailboxes.http.recordings import answer_audio
from mailboxes.models import SoundAudio


def answer_sound(request, audio: SoundAudio, telephone: bool = False) -> HttpResponse:
    """Return the original, or the form for telephones, or the wanted part of it; or 304.

    Raises UnreadableRecordingError, and UnsatisfiableRangeError.
    """
    # Neither form ever changes.
    etag = f'"{audio.pk}-telephone"' if telephone else f'"{audio.pk}"'
    read = audio.read_telephone if telephone else audio.read_original
    return get_conditional_response(request, etag) or answer_audio(request, read, etag, audio)
