"""Recordings in the form that is kept: mono, 16 bit, 8 or 16 kHz, as a WAV file."""

import io
import sys
import wave
from array import array
from itertools import pairwise
from typing import NamedTuple

SAMPLE_BYTES = 2
PEAKS = 200  # numbers in a waveform
MEDIA_TYPE = "audio/wav"


class Recording(NamedTuple):
    """Samples of 16 bit, little-endian, mono."""

    rate: int  # samples a second
    samples: bytes

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_BYTES / self.rate

    def to_wav(self) -> bytes:
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(SAMPLE_BYTES)
            writer.setframerate(self.rate)
            writer.writeframes(self.samples)
        return file.getvalue()

    def compute_peaks(self) -> bytes:
        """Return the loudest sample in each of PEAKS equal parts, from 0 to 255."""
        samples = array("h", self.samples)
        if sys.byteorder == "big":
            samples.byteswap()
        edges = [len(samples) * part // PEAKS for part in range(PEAKS + 1)]
        parts = (samples[start : max(end, start + 1)] for start, end in pairwise(edges))
        return bytes(min(max(max(part), -min(part)) >> 7, 255) for part in parts)
