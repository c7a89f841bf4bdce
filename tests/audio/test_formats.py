"""Recordings in every format come in, as long and as loud as they were sent."""

import io
import math
import wave
from array import array
from itertools import pairwise

import pytest

from mailboxes.audio.decoder import decoder
from mailboxes.models import Mailbox, Message
from tests.audio.encoding import ENCODERS, FILES, RATES, TONES, encode_tone, make_file
from tests.recordings import LOUDNESS, make_form

TONE = 440  # Hz
LEVEL = LOUDNESS / math.sqrt(2)  # the root mean square of a tone
# Of the files that hold another length than the encoders' files.
LENGTHS = {"asterisk-gsm.wav": 3.56, "chromium.webm": 1.5, "chromium.m4a": 1.42}


@pytest.fixture
def path(account):
    return f"/voip/mailbox/{Mailbox.objects.create(account=account, name='Sales').uuid}/messages"


def read_wav(content) -> tuple[int, array]:
    """Return the rate and the samples."""
    with wave.open(io.BytesIO(content)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth()) == (1, 2)
        return reader.getframerate(), array("h", reader.readframes(reader.getnframes()))


def measure_level(samples) -> float:
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


def measure_tone(samples, rate) -> float:
    """Return the frequency: half the number of changes of the sign, in a second."""
    changes = sum((first < 0) != (second < 0) for first, second in pairwise(samples))
    return changes / 2 / (len(samples) / rate)


def assert_tone(rate, samples, seconds):
    """Check the middle, because some encoders add a little silence in front and behind."""
    assert len(samples) / rate == pytest.approx(seconds, abs=0.2)
    middle = samples[rate // 4 : -rate // 4]
    assert measure_level(middle) == pytest.approx(LEVEL, rel=0.1)
    assert measure_tone(middle, rate) == pytest.approx(TONE, rel=0.02)


@pytest.mark.parametrize("name", [*TONES, *FILES])
def test_recording_is_served_as_long_and_loud_as_it_was_sent(service, path, name):
    seconds = LENGTHS.get(name, 2.0)
    answer = service.post(path, **make_form(make_file(name)))
    assert (answer.status, answer.result["duration"]) == (201, round(seconds))
    content = service.get(f"{path}/{answer.result['uuid']}/recording").body
    rate, samples = read_wav(content)
    assert_tone(rate, samples, seconds)
    assert Message.objects.get().size == len(content)


def is_telephone_quality(encoder, rate) -> bool:
    return rate == 8_000 and encoder not in ("ogg opus", "webm")


@pytest.mark.long
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_recording_of_every_rate_comes_in(encoder, rate, channels):
    recording = decoder.decode(encode_tone(encoder, rate, channels))
    assert recording.rate == (8_000 if is_telephone_quality(encoder, rate) else 16_000)
    assert_tone(recording.rate, array("h", recording.samples), 2.0)
