"""Greetings: their URLs for engines, and the files of SOUNDS_DIR.

An engine fetches a greeting without a credential, so our URLs are signed.
"""

import wave
from pathlib import Path

from django.conf import settings
from django.core.signing import Signer
from django.http import Http404
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import condition, require_safe
from django.views.static import serve

signer = Signer(salt="mailboxes.engines.sounds")

# The format that every engine plays without conversion.
TELEPHONE_QUALITY = {"getframerate": 8000, "getnchannels": 1, "getsampwidth": 2}


def get_url(request, sound) -> str:
    """Return the URL of the sound with this uuid, or "" if it cannot be played."""
    if sound is None:
        return ""
    if settings.SOUNDS_URL:
        return f"{settings.SOUNDS_URL}{sound}.wav"
    if not can_be_played(sound):
        return ""
    return request.build_absolute_uri(reverse("sound", args=[sign(sound), sound]))


def get_path(sound) -> str:
    """Return the sound's file path, for an engine that shares the folder; "" if not playable."""
    return str(file_path(sound).resolve()) if sound and can_be_played(sound) else ""


def can_be_played(sound) -> bool:
    """Return True if SOUNDS_DIR has the sound, as a WAV file of 8 kHz, mono, 16 bit."""
    if settings.SOUNDS_DIR is None or not file_path(sound).is_file():
        return False
    try:
        with wave.open(str(file_path(sound))) as file:
            return all(getattr(file, get)() == value for get, value in TELEPHONE_QUALITY.items())
    except (OSError, EOFError, RuntimeError, wave.Error):  # RuntimeError: a truncated chunk
        return False


def file_path(sound) -> Path:
    return settings.SOUNDS_DIR / f"{sound}.wav"


def sign(sound) -> str:
    return signer.signature(str(sound))


@require_safe
def sound(request, signed, uuid):
    if not constant_time_compare(signed, sign(uuid)) or not can_be_played(uuid):
        raise Http404
    return serve_file(request, uuid)


def compute_etag(request, uuid) -> str:
    """Return the sound's ETag, so that an engine downloads it again only after a change."""
    file = file_path(uuid).stat()
    return f'"{file.st_mtime_ns:x}-{file.st_size:x}"'


@condition(etag_func=compute_etag)
def serve_file(request, uuid):
    return serve(request, file_path(uuid).name, document_root=settings.SOUNDS_DIR)
