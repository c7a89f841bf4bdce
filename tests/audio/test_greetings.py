"""Greetings: formats, loudness, silence at the ends, and limits."""

import math
from array import array
from contextlib import suppress

import pytest

from mailboxes.audio.decoder import decoder
from mailboxes.audio.decoding import BROKEN_OFF, NO_AUDIO, ONLY_SILENCE, UnusableAudioError
from mailboxes.audio.recordings import Recording
from mailboxes.contract import MAX_SOUND_SECONDS
from tests.audio.encoding import FILES, TONES, make_file
from tests.audio.hostile import make_mutations, make_references, make_wrong_headers


def make_tone(seconds: float, level: float = 0.2, rate: int = 16_000) -> bytes:
    """Return the samples of a tone of 440 Hz; its level is 1 at most."""
    step = 2 * math.pi * 440 / rate
    return array(
        "h",
        (int(level * 32_767 * math.sin(step * number)) for number in range(int(seconds * rate))),
    ).tobytes()


def make_wav(samples: bytes, rate: int = 16_000) -> bytes:
    return Recording(rate, samples).to_wav()


def measure_level(recording: Recording) -> float:
    """Return the loudness in decibels below the loudest possible (RMS)."""
    samples = array("h", recording.samples)
    power = sum(sample * sample for sample in samples) / len(samples)
    return 10 * math.log10(power / 32_768**2)


@pytest.mark.parametrize("name", [*TONES, *FILES])
def test_greeting_comes_in_every_format(name):
    greeting, message = (
        decode(make_file(name)) for decode in (decoder.decode_greeting, decoder.decode)
    )
    assert greeting.telephone.rate == 8_000
    assert greeting.telephone.seconds == pytest.approx(message.seconds, abs=0.2)
    assert greeting.original.seconds == pytest.approx(greeting.telephone.seconds, abs=0.01)


@pytest.mark.parametrize(("rate", "kept"), [(8_000, 8_000), (44_100, 44_100), (96_000, 48_000)])
def test_original_keeps_its_rate(rate, kept):
    assert decoder.decode_greeting(make_wav(make_tone(1, rate=rate), rate)).original.rate == kept


@pytest.mark.parametrize("level", [0.02, 0.2, 0.9])
def test_loudness_is_levelled(level):
    greeting = decoder.decode_greeting(make_wav(make_tone(5, level)))
    for recording in greeting:
        assert measure_level(recording) == pytest.approx(-18, abs=1.5)
        assert max(map(abs, array("h", recording.samples))) < 32_767 * 0.85


def test_silence_is_cut_at_both_ends_only():
    silence, tone = bytes(32_000 * 3), make_tone(1)
    greeting = decoder.decode_greeting(make_wav(silence + tone + silence + tone + silence))
    assert greeting.telephone.seconds == pytest.approx(5.2, abs=0.1)


@pytest.mark.parametrize("level", [0, 0.0005])
def test_silent_recording_is_refused(level):
    with pytest.raises(UnusableAudioError) as refused:
        decoder.decode_greeting(make_wav(make_tone(3, level)))
    assert str(refused.value) == ONLY_SILENCE


def test_longest_greeting_comes_in():
    seconds = MAX_SOUND_SECONDS
    greeting = decoder.decode_greeting(make_wav(make_tone(1, rate=48_000) * seconds, 48_000))
    assert greeting.original.seconds == pytest.approx(seconds, abs=0.01)


def test_longer_greeting_is_refused():
    with pytest.raises(UnusableAudioError, match="longer than 90 seconds"):
        decoder.decode_greeting(make_wav(make_tone(1, rate=8_000) * (MAX_SOUND_SECONDS + 1), 8_000))


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"", NO_AUDIO), (b"no audio", NO_AUDIO), (make_wav(make_tone(2))[:40_000], BROKEN_OFF)],
)
def test_file_that_is_no_recording_is_refused(data, text):
    with pytest.raises(UnusableAudioError) as refused:
        decoder.decode_greeting(data)
    assert str(refused.value) == text


@pytest.mark.parametrize("make", [lambda: make_references(1), make_wrong_headers])
def test_hostile_file_is_refused_or_taken(make):
    for data in make().values():
        with suppress(UnusableAudioError):
            assert decoder.decode_greeting(data).telephone.seconds <= MAX_SOUND_SECONDS


def test_changed_file_is_refused_or_taken():
    for data in make_mutations(40):
        with suppress(UnusableAudioError):
            assert decoder.decode_greeting(data).telephone.seconds <= MAX_SOUND_SECONDS
