"""Greetings, by their uuid: where an engine gets them, and those of a folder served to it.

An engine plays an address without showing a credential, so ours carry a signature.
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

# What every engine plays as it is.
TELEPHONE_QUALITY = {"getframerate": 8000, "getnchannels": 1, "getsampwidth": 2}


def address(request, sound) -> str:
    """Where to get the sound of this uuid, or nothing where there is none, or none that can be played."""
    if sound is None:
        return ""
    if settings.SOUNDS_URL:
        return f"{settings.SOUNDS_URL}{sound}.wav"
    if not can_be_played(sound):
        return ""
    return request.build_absolute_uri(reverse("sound", args=[signature(sound), sound]))


def path(sound) -> str:
    """Where the folder has it, for an engine that shares the folder; nothing where it has none that can be played."""
    if sound is None or not can_be_played(sound):
        return ""
    return str(recording(sound).resolve())


def can_be_played(sound) -> bool:
    """Whether the folder has it, as WAV of 8 kHz, mono, 16 bit."""
    if settings.SOUNDS_DIR is None or not recording(sound).is_file():
        return False
    try:
        with wave.open(str(recording(sound))) as file:
            return all(getattr(file, get)() == value for get, value in TELEPHONE_QUALITY.items())
    except (OSError, EOFError, RuntimeError, wave.Error):  # the third, for a chunk cut short
        return False


def recording(sound) -> Path:
    return settings.SOUNDS_DIR / f"{sound}.wav"


def signature(sound) -> str:
    """What only this service can put before the sound's name."""
    return signer.signature(str(sound))


@require_safe
def sound(request, signed, uuid):
    """A greeting of the folder, for whoever was given its address."""
    if not constant_time_compare(signed, signature(uuid)) or not can_be_played(uuid):
        raise Http404
    return served(request, uuid)


def version(request, uuid) -> str:
    """Tells one recording from the next: an engine asks again at every call, and keeps what is the same."""
    file = recording(uuid).stat()
    return f'"{file.st_mtime_ns:x}-{file.st_size:x}"'


@condition(etag_func=version)
def served(request, uuid):
    return serve(request, recording(uuid).name, document_root=settings.SOUNDS_DIR)
