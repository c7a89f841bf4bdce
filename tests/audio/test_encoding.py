"""MP3 files of recordings, for mails."""

from array import array
from itertools import pairwise, product

import pytest

from mailboxes.audio.decoding import decode
from mailboxes.audio.encoding import encode_mp3
from tests.recordings import LOUDNESS, make_wav


@pytest.mark.parametrize(("rate", "seconds"), list(product([8_000, 16_000], [0.01, 1, 12.5])))
def test_mp3_has_the_whole_recording_at_24_kbit(rate, seconds):
    file = encode_mp3(make_wav(seconds, rate))
    samples = decode(file, max_seconds=60).samples
    assert len(samples) / 2 / 16_000 == pytest.approx(seconds, abs=0.01)
    assert len(file) == pytest.approx(seconds * 3_000, abs=600)


def test_mp3_sounds_like_the_recording():
    samples = decode(encode_mp3(make_wav(2, tone=440)), max_seconds=60).samples
    middle = array("h", samples)[16_000:24_000]
    crossings = sum(one < 0 <= next_one for one, next_one in pairwise(middle))
    assert crossings == pytest.approx(220, abs=2)  # half a second of 440 Hz
    assert max(middle) == pytest.approx(LOUDNESS, rel=0.1)


def test_recording_without_audio_gives_an_empty_file():
    assert encode_mp3(make_wav(0)) == b""
