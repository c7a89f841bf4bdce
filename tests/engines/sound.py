"""Tones: written to WAV files, and looked for in what was recorded. Plain Python, as the kit's phone is."""

import math
import struct
import wave
from uuid import UUID

GREETING = UUID("63e54af8-07b5-4fd2-b15b-f4c31a82ca0b")
RATE = 8000  # samples a second, of every telephone here
WINDOW = RATE // 20  # 50 ms: short enough for a beep, long enough to tell 440 Hz from 1000


def write_tone(path, hertz, seconds, rate=RATE, channels=1):
    """A WAV file with the tone, 16 bit."""
    samples = [
        round(8000 * math.sin(2 * math.pi * hertz * number / rate))
        for number in range(round(rate * seconds))
        for _ in range(channels)
    ]
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def seconds_of_tone(path, hertz) -> float:
    """For how long the tone sounds by itself: most of what is heard then is of that frequency."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        frames = file.readframes(file.getnframes())
    samples = struct.unpack(f"<{len(frames) // 2}h", frames)
    windows = [samples[at : at + WINDOW] for at in range(0, len(samples) - WINDOW + 1, WINDOW)]
    return sum(share(window, hertz) > 0.8 for window in windows) * WINDOW / RATE


def share(window, hertz) -> float:
    """How much of the window's energy is at that frequency, 0 to 1 (Goertzel's algorithm)."""
    energy = sum(sample * sample for sample in window)
    if energy < WINDOW * 100**2:
        return 0  # silence, and the noise in it
    turn = 2 * math.cos(2 * math.pi * hertz / RATE)
    last = before = 0.0
    for sample in window:
        last, before = sample + turn * last - before, last
    power = last * last + before * before - turn * last * before
    return 2 * power / (len(window) * energy)
