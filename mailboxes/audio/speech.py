"""Speech: a text, read by a voice of the command TTS_COMMAND or of eSpeak NG.

eSpeak NG comes with the package espeakng-loader (the extra `voices`).
"""

import json
import logging
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from operator import itemgetter

from django.conf import settings

log = logging.getLogger("mailboxes")

PACKAGE = "espeakng_loader"
ESPEAK = [sys.executable, "-m", "mailboxes.audio.espeak"]
FEMALE = "+f3"  # after a language: eSpeak NG reads it as a woman
VOICE = "{voice}"  # in TTS_COMMAND
SECONDS = 30  # that a text may take
MAX_REASON = 200  # characters of a command's error


class SpeechError(Exception):
    """The command failed, took too long, or does not know the voice."""


def is_available() -> bool:
    return bool(settings.TTS_COMMAND) or find_spec(PACKAGE) is not None


def list_voices() -> dict[str, str]:
    """Return the label of each voice, by its name. There are none unless speech is available."""
    if settings.TTS_COMMAND:
        return {name: name for name in settings.TTS_VOICES}
    with suppress(SpeechError):
        return list_espeak_voices() if is_available() else {}
    return {}


@cache
def list_espeak_voices() -> dict[str, str]:
    """Return two voices for each language: `de`, and a woman's, `de+f3`."""
    languages = json.loads(run([*ESPEAK, "--voices"]))
    voices = {}
    for code, name in sorted(languages.items(), key=itemgetter(1)):
        voices[code] = f"{name}, a man"
        voices[code + FEMALE] = f"{name}, a woman"
    return voices


def speak(text: str, voice: str) -> bytes:
    """Read the text with a voice such as `en`, and return an audio file. Raises SpeechError."""
    command = settings.TTS_COMMAND or [*ESPEAK, VOICE]
    return run([word.replace(VOICE, voice) for word in command], text)


def run(command: list[str], text: str = "") -> bytes:
    """Return the output of the command for the text. Raises SpeechError."""
    try:
        return subprocess.run(  # noqa: S603  the operator's command, or our own
            command,
            input=text.encode(),
            capture_output=True,
            timeout=SECONDS,
            check=True,
            cwd=settings.BASE_DIR,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin"},  # without the keys of this process
            start_new_session=True,  # Ctrl-C is not for it
        ).stdout
    except subprocess.TimeoutExpired:
        reason = f"It took more than {SECONDS} seconds."
    except subprocess.CalledProcessError as error:
        last = (error.stderr.decode(errors="replace").splitlines() or [""])[-1]
        reason = f"It ended with status {error.returncode}: {last[:MAX_REASON]}"
    except OSError as error:
        reason = str(error)
    log.error("The command that reads texts failed. %s", reason)
    raise SpeechError(reason)
