"""Recordings for tests, and forms that hand them in."""

import io
import math
import wave
from array import array
from functools import cache

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from mailboxes.audio.recordings import Recording

LOUDNESS = 8_000  # of the loudest sample, of 32,767


@cache
def make_samples(seconds=2.0, rate=8_000, tone=440) -> array:
    """Return the samples of a tone."""
    step = 2 * math.pi * tone / rate
    return array("h", (round(LOUDNESS * math.sin(step * n)) for n in range(int(seconds * rate))))


def make_wav(seconds=2.0, rate=8_000, tone=440) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(make_samples(seconds, rate, tone).tobytes())
    return file.getvalue()


def make_recording(**options) -> Recording:
    """Return a recording as it is after decoding."""
    return Recording(options.get("rate", 8_000), make_samples(**options).tobytes())


def make_form(recording=None, field="recording", **fields) -> dict:
    """Return the body and headers of a form, for the keyword arguments of a call.

    `field` is the name of the recording's field.
    """
    if recording is not None:
        fields[field] = SimpleUploadedFile("message.wav", recording)
    return {
        "body": encode_multipart(BOUNDARY, fields),
        "headers": {"Content-Type": MULTIPART_CONTENT},
    }


def make_raw_form(
    *parts: bytes, end=b"--b--\r\n", content_type='multipart/form-data; boundary="b"'
):
    """Return the keyword arguments of a call with a form of these parts, as they are.

    A part has its headers, an empty line, and its content.
    """
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end
    return {"body": body, "headers": {"Content-Type": content_type}}


def make_part(name: str, content: bytes, disposition="", headers="") -> bytes:
    """Return a part of a form. Its parameters and further headers may be wrong."""
    head = f'Content-Disposition: form-data; name="{name}"{disposition}\r\n{headers}\r\n'
    return head.encode() + content
