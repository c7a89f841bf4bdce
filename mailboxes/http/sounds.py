"""Answers with the audio of a sound."""

from django.http import HttpResponse

from mailboxes.http.recordings import answer_audio
from mailboxes.models import SoundAudio


def get_audio_etag(audio: SoundAudio, telephone: bool = False) -> str:
    """Return the ETag of one of its forms, which never change."""
    return f'"{audio.pk}-telephone"' if telephone else f'"{audio.pk}"'


def answer_sound(request, audio: SoundAudio, telephone: bool = False) -> HttpResponse:
    """Return the original, or the form for telephones, or the wanted part of it.

    Raises UnreadableRecordingError, and UnsatisfiableRangeError.
    """
    read = audio.read_telephone if telephone else audio.read_original
    return answer_audio(request, read, get_audio_etag(audio, telephone), audio)
