"""Files of greetings: every format comes in, and hostile ones are refused as for messages."""

import socket
from array import array

import pytest

from mailboxes import contract
from mailboxes.audio.decoder import decoder
from mailboxes.audio.decoding import MEMORY_BYTES, NO_AUDIO, UnusableAudioError
from tests.audio.encoding import FILES, TONES, make_file
from tests.audio.hostile import (
    make_long_wav,
    make_mutations,
    make_noise,
    make_references,
    make_silence,
    make_video,
    make_wrong_headers,
)
from tests.audio.test_formats import LENGTHS, TONE, measure_tone
from tests.audio.test_hostile_files import MUTATIONS, read_peak_bytes


def refuse(content) -> str:
    with pytest.raises(UnusableAudioError) as error:
        decoder.decode_greeting(content)
    return str(error.value)


@pytest.mark.parametrize("name", [*TONES, *FILES])
def test_every_format_keeps_its_length_and_tone(name):
    greeting = decoder.decode_greeting(make_file(name))
    assert greeting.telephone.rate == 8_000
    assert 8_000 <= greeting.original.rate <= 48_000
    for recording in greeting:
        assert recording.seconds == pytest.approx(LENGTHS.get(name, 2.0), abs=0.25)
        samples = array("h", recording.samples)[recording.rate // 4 : -recording.rate // 4]
        assert measure_tone(samples, recording.rate) == pytest.approx(TONE, rel=0.02)


def test_addresses_and_files_that_a_greeting_names_are_not_opened():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        for content in make_references(listener.getsockname()[1]).values():
            assert refuse(content) == NO_AUDIO
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    "make",
    [
        make_video,
        lambda: make_noise(contract.MAX_RECORDING_BYTES),
        lambda: bytes(contract.MAX_RECORDING_BYTES),
        lambda: make_silence(3_600),
        lambda: make_long_wav(2),
    ],
)
def test_hostile_file_is_refused(make):
    assert refuse(make())


def test_wrong_headers_and_mutations_end_no_process():
    started = decoder.get_process()
    refused = 0
    for content in [*make_wrong_headers().values(), *make_mutations(MUTATIONS[0])]:
        try:
            decoder.decode_greeting(content)
        except UnusableAudioError:
            refused += 1
    assert refused
    assert decoder.get_process() is started
    assert read_peak_bytes() < MEMORY_BYTES
