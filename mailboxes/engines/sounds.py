"""Greetings: their URLs for engines, and the audio at these URLs.

An engine fetches a greeting without a credential, so our URLs are signed. A greeting is a sound of
this service; or else a file of SOUNDS_DIR, or at SOUNDS_URL.
"""

import wave
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.signing import Signer
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import condition, require_safe
from django.views.static import serve

from mailboxes.http.sounds import answer_sound
from mailboxes.models import Mailbox, Sound, SoundAudio

signer = Signer(salt="mailboxes.engines.sounds")

# Another recording has another URL. Without a time in which Asterisk does not ask again, calls at
# the same time replace the file that others play.
MAX_AGE = 24 * 60 * 60  # seconds

# The format that every engine plays without conversion.
TELEPHONE_QUALITY = {"getframerate": 8000, "getnchannels": 1, "getsampwidth": 2}


class Place(NamedTuple):
    """Where an engine finds a greeting. Both are empty if it cannot be played."""

    url: str = ""
    path: str = ""  # only of a file, for an engine that shares SOUNDS_DIR


def find_greeting(request, mailbox: Mailbox) -> Place:
    """Return the place of the mailbox's greeting."""
    greeting = mailbox.greeting
    if greeting is None:
        return Place()
    if sound := Sound.objects.get_usable(greeting, mailbox.account):
        return Place(build_url(request, sound.audio_id))
    if settings.SOUNDS_URL:
        return Place(f"{settings.SOUNDS_URL}{greeting}.wav")
    if can_be_played(greeting):
        return Place(build_url(request, greeting), str(file_path(greeting).resolve()))
    return Place()


def build_url(request, uuid: UUID) -> str:
    return request.build_absolute_uri(reverse("sound", args=[sign(uuid), uuid]))


def can_be_played(greeting) -> bool:
    """Return True if SOUNDS_DIR has the greeting, as a WAV file of 8 kHz, mono, 16 bit."""
    if settings.SOUNDS_DIR is None or not file_path(greeting).is_file():
        return False
    try:
        with wave.open(str(file_path(greeting))) as file:
            return all(getattr(file, get)() == value for get, value in TELEPHONE_QUALITY.items())
    except (OSError, EOFError, RuntimeError, wave.Error):  # RuntimeError: a truncated chunk
        return False


def file_path(greeting) -> Path:
    return settings.SOUNDS_DIR / f"{greeting}.wav"


def sign(uuid) -> str:
    return signer.signature(str(uuid))


@require_safe
def sound(request, signed, uuid):
    """Send a file of SOUNDS_DIR, or an audio of a sound.

    An audio is sent as long as it is kept, because a call may have got its URL before a change.
    """
    if not constant_time_compare(signed, sign(uuid)):
        raise Http404
    if can_be_played(uuid):
        return serve_file(request, uuid)
    audio = SoundAudio.objects.filter(pk=uuid).first()
    if audio is None:
        raise Http404
    return serve_audio(request, audio)


def compute_etag(request, uuid) -> str:
    """Return the file's ETag, so that an engine downloads it again only after a change."""
    file = file_path(uuid).stat()
    return f'"{file.st_mtime_ns:x}-{file.st_size:x}"'


@condition(etag_func=compute_etag)
def serve_file(request, uuid):
    return serve(request, file_path(uuid).name, document_root=settings.SOUNDS_DIR)


def serve_audio(request, audio: SoundAudio) -> HttpResponse:
    response = answer_sound(request, audio, telephone=True)
    if response.status_code < HTTPStatus.BAD_REQUEST:
        patch_cache_control(response, private=True, max_age=MAX_AGE)
    return response
