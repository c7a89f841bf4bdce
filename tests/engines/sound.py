"""Write tones to WAV files, and measure them in recordings."""

import math
import struct
import wave
from uuid import UUID

GREETING = UUID("63e54af8-07b5-4fd2-b15b-f4c31a82ca0b")
RATE = 8000  # samples per second
WINDOW = RATE // 20  # 50 ms: short enough for a beep, long enough to separate 440 Hz from 1000 Hz


def write_tone(path, hertz, seconds, rate=RATE, channels=1):
    """Write a WAV file of 16 bit with the tone."""
    samples = [
        round(8000 * math.sin(2 * math.pi * hertz * number / rate))
        for number in range(round(rate * seconds))
        for _ in range(channels)
    ]
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def measure_tone(path, hertz) -> float:
    """Return how long the tone sounds alone, with over 80 % of the energy."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        frames = file.readframes(file.getnframes())
    samples = struct.unpack(f"<{len(frames) // 2}h", frames)
    windows = [samples[at : at + WINDOW] for at in range(0, len(samples) - WINDOW + 1, WINDOW)]
    return sum(energy_share(window, hertz) > 0.8 for window in windows) * WINDOW / RATE


def energy_share(window, hertz) -> float:
    """Return the share of the energy at the frequency, 0 to 1 (Goertzel's algorithm)."""
    energy = sum(sample * sample for sample in window)
    if energy < WINDOW * 100**2:
        return 0  # silence or noise
    coefficient = 2 * math.cos(2 * math.pi * hertz / RATE)
    last = before = 0.0
    for sample in window:
        last, before = sample + coefficient * last - before, last
    power = last * last + before * before - coefficient * last * before
    return 2 * power / (len(window) * energy)
