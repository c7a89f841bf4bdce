"""Transcription by a server that speaks OpenAI's API, and by one that fails."""

import json
import socket

import pytest

from mailboxes.delivery import transcribers
from mailboxes.delivery.transcribers import (
    RecordingRefusedError,
    TranscriberError,
    get_transcriber,
)
from mailboxes.models.transcriptions import Segment
from tests.delivery.speech_server import (
    SAID,
    SEGMENTS,
    answer_never,
    answer_slowly,
    answer_text_only,
    answer_with,
    answer_with_slow_head,
    answer_without_end,
    break_off,
    speech_server,
)
from tests.recordings import make_recording

RECORDING = make_recording(seconds=2.0)
WITHOUT_TIMES = [Segment(None, None, SAID)]


@pytest.fixture
def server(settings):
    with speech_server(settings) as server:
        yield server


@pytest.fixture
def short_limit(monkeypatch):
    monkeypatch.setattr(transcribers, "LEAST_TIME", 0.5)
    monkeypatch.setattr(transcribers, "TIME_PER_SECOND", 0)


def transcribe():
    return get_transcriber().transcribe(RECORDING)


def answer_segments(server, *segments):
    server.answer = answer_with(json.dumps({"text": SAID, "segments": segments}).encode())


def fail() -> str:
    """Transcribe, and return the text of the error."""
    with pytest.raises(TranscriberError) as failure:
        transcribe()
    return str(failure.value)


def test_recording_is_sent_with_key_and_model_and_the_answer_has_times(server):
    assert transcribe() == [
        Segment(0.0, 1.2, "Please call me back"),
        Segment(1.2, 2.0, "about the order."),
    ]
    [(path, headers, body)] = server.requests
    assert path == "/v1/audio/transcriptions"
    assert headers["Authorization"] == "Bearer secret-key"
    assert headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b'name="file"; filename="message.wav"\r\nContent-Type: audio/wav' in body
    assert RECORDING.to_wav() in body
    assert b'name="model"\r\n\r\nwhisper-1\r\n' in body


def test_server_without_a_key_gets_none(server, settings):
    settings.TRANSCRIBER_KEY = ""
    transcribe()
    assert "Authorization" not in server.requests[0][1]


@pytest.mark.parametrize("status", [400, 422])
def test_model_that_gives_no_times_is_asked_for_the_text(server, status):
    server.answer = answer_text_only(status)
    assert transcribe() == WITHOUT_TIMES
    assert len(server.requests) == 2


@pytest.mark.parametrize("text", ["", " \n"])
def test_empty_text_is_no_speech(server, text):
    server.answer = answer_with(json.dumps({"text": text}).encode())
    assert transcribe() == []


def test_improbable_and_repetitive_segments_are_left_out(server):
    first, second = SEGMENTS
    nonsense = {"text": "You", "start": 0, "end": 1}
    answer_segments(
        server,
        nonsense | {"avg_logprob": -1.1},
        nonsense | {"avg_logprob": -0.2, "compression_ratio": 2.5},
        first | {"compression_ratio": 2.3},
        second,
    )
    assert [segment.text for segment in transcribe()] == ["Please call me back", "about the order."]
    answer_segments(server, nonsense | {"avg_logprob": -1.1})
    assert transcribe() == []


@pytest.mark.parametrize("start", [2_400_000_000, -1, "0:00", None, float("nan"), float("inf")])
def test_impossible_time_is_left_out(server, start):
    answer_segments(server, SEGMENTS[0] | {"start": start})
    assert transcribe() == [Segment(None, 1.2, "Please call me back")]


def test_text_is_printable_and_on_one_line(server):
    server.answer = answer_with(b'{"text": "One\\u0000two\\n\\ud800 three\\u001b[0m\\u00fc"}')
    assert transcribe() == [Segment(None, None, "One two three [0mü")]


# --- Failures -------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 422])
def test_wrong_field_such_as_the_model_can_be_corrected(server, status):
    server.answer = answer_with(b'{"error": {"message": "No such model."}}', status)
    with pytest.raises(TranscriberError) as failure:
        transcribe()
    assert not isinstance(failure.value, RecordingRefusedError)
    assert str(failure.value) == (
        f"The transcriber answered {status}: check TRANSCRIBER_MODEL: No such model."
    )


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (500, "The transcriber answered 500: Try later."),
        (503, "The transcriber answered 503: Try later."),
        (429, "The transcriber answered 429: Try later."),
        (401, "The transcriber answered 401: check TRANSCRIBER_KEY: Try later."),
        (404, "The transcriber answered 404: check TRANSCRIBER_URL and TRANSCRIBER_MODEL: "),
        (307, "The transcriber answered 307: Try later."),
        (599, "The transcriber answered 599: Try later."),
    ],
)
def test_error_of_the_server_is_described(server, status, text):
    server.answer = answer_with(b'{"error": {"message": "Try later."}}', status)
    assert fail().startswith(text)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [413, 415])
def test_refusal_of_the_recording_is_permanent(server, status):
    server.answer = answer_with(b"", status)
    with pytest.raises(RecordingRefusedError):
        transcribe()


def test_error_with_the_key_is_described_without_it(server):
    server.answer = answer_with(b'{"error": {"message": "Wrong: secret-key"}}', 401)
    assert fail().endswith("Wrong: …")


def test_key_at_the_cut_of_an_error_is_left_out(server):
    text = "x" * (transcribers.MAX_REASON - 8) + " secret-key"
    server.answer = answer_with(json.dumps({"error": {"message": text}}).encode(), 401)
    assert "secret" not in fail()


@pytest.mark.parametrize("key", ["secret-key ", "secret\nkey"])
def test_key_that_cannot_be_sent_is_not_described(server, settings, key):
    settings.TRANSCRIBER_KEY = key
    assert fail() == "The transcriber cannot be reached: LocalProtocolError"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"text": null}',
        b'{"text": 1}',
        b'{"error": "none"}',
        b'{"text": "a", "segments": [1]}',
        b'{"text": "a", "segments": [{"text": 1}]}',
        b'{"text": "a", "segments": [{"text": "a", "avg_logprob": "b"}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_garbage_is_an_error(server, content):
    server.answer = answer_with(content)
    assert fail() == "The transcriber's answer is not JSON with a text."


@pytest.mark.parametrize("answer", [answer_never, answer_slowly, answer_with_slow_head])
def test_server_that_takes_too_long_is_given_up(server, short_limit, answer):
    server.answer = answer
    assert fail() == "The transcriber took more than 0.5 seconds."


def test_answer_without_end_is_not_kept(server):
    server.answer = answer_without_end
    assert fail() == "The transcriber's answer is too large."


def test_answer_that_breaks_off_is_an_error(server):
    server.answer = break_off
    assert fail().startswith("The transcriber cannot be reached: RemoteProtocolError")


def test_server_that_is_down_is_an_error(settings):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings.TRANSCRIBER = "http"
        settings.TRANSCRIBER_URL = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        assert fail().startswith("The transcriber cannot be reached: ConnectError")
