"""Recordings in the form that is kept: mono, 16 bit, 8 or 16 kHz, as a WAV file."""

import io
import wave
from itertools import pairwise
from typing import NamedTuple

SAMPLE_BYTES = 2
PEAKS = 200  # numbers in a waveform
MEDIA_TYPE = "audio/wav"

# The loudness of a sample with this more significant byte, which has its sign.
LEVELS = bytes(2 * min(byte, 255 - byte) for byte in range(256))


def describe_seconds(seconds: float) -> str:
    """Return the length as people say it, such as "15 minutes", "90 seconds" or "1 second"."""
    count, unit = (seconds / 60, "minute") if seconds % 60 == 0 else (seconds, "second")
    return f"{count:g} {unit}" if count == 1 else f"{count:g} {unit}s"


def format_duration(seconds: int) -> str:
    """Return the duration as minutes and seconds, such as "1:05"."""
    return f"{seconds // 60}:{seconds % 60:02}"


class Recording(NamedTuple):
    """Samples of 16 bit, little-endian, mono."""

    rate: int  # samples a second
    samples: bytes

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_BYTES / self.rate

    @classmethod
    def from_wav(cls, content: bytes) -> "Recording":
        """Return the recording in a file that `to_wav` made."""
        with wave.open(io.BytesIO(content)) as reader:
            return cls(reader.getframerate(), reader.readframes(reader.getnframes()))

    def to_wav(self) -> bytes:
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(SAMPLE_BYTES)
            writer.setframerate(self.rate)
            writer.writeframes(self.samples)
        return file.getvalue()

    def compute_peaks(self) -> bytes:
        """Return the loudest sample in each of PEAKS equal parts, from 0 to 254.

        The more significant byte of a sample is enough, and bytes take a fifth of the time.
        """
        levels = self.samples[1::SAMPLE_BYTES].translate(LEVELS)
        edges = [len(levels) * part // PEAKS for part in range(PEAKS + 1)]
        return bytes(max(levels[start : max(end, start + 1)]) for start, end in pairwise(edges))


class Greeting(NamedTuple):
    """The same audio for browsers, at the rate it came in, and for telephones, at 8 kHz."""

    original: Recording
    telephone: Recording
