"""GET and HEAD …/messages/{uuid}/recording: the audio, and parts of it."""

import io
import wave
from uuid import uuid4

import pytest

from mailboxes.models import Message
from tests.recordings import make_form, make_wav

WAV = make_wav()
SIZE = len(WAV)


@pytest.fixture
def recording(path, add):
    return f"{path}/{add()['uuid']}/recording"


def test_recording_is_served_as_it_was_sent(wire, wire_message):
    answer = wire.get(f"{wire_message}/recording")
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/wav")
    assert answer.body == WAV
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"]
    assert "ratelimit" in answer.headers
    assert wire.get(wire_message).result["heard"] is False


def test_head_has_the_length_and_no_body(wire, wire_message):
    answer = wire.call("HEAD", f"{wire_message}/recording", headers={"Range": "bytes=0-9"})
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == str(SIZE)
    assert wire.call("HEAD", f"{wire_message}x/recording").status == 404


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=100-199", 100, 199),
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        (f"bytes=5-{SIZE * 9}", 5, SIZE - 1),
        ("bytes=-10", SIZE - 10, SIZE - 1),
        (f"bytes=-{SIZE * 9}", 0, SIZE - 1),
        (" bytes=1-2 ", 1, 2),
        ("Bytes=1-2", 1, 2),
    ],
)
def test_part_is_served(service, recording, wanted, first, last):
    answer = service.get(recording, headers={"Range": wanted})
    assert (answer.status, answer.body) == (206, WAV[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.headers["content-type"] == "audio/wav"


def test_parts_are_served_over_a_connection_that_is_kept(wire, wire_message):
    got = b""
    for start in range(0, SIZE, 10_000):
        answer = wire.get(
            f"{wire_message}/recording", headers={"Range": f"bytes={start}-{start + 9_999}"}
        )
        assert answer.headers["content-length"] == str(len(answer.body))
        got += answer.body
    assert got == WAV


@pytest.mark.parametrize(
    "ignored",
    [
        *("bytes=1-2,5-6", "bytes=2-1", "bytes=-", "bytes=", "bytes=x-5", "bytes=1-2-3"),
        *("items=1-2", "1-2", "bytes=+1-2", "bytes=-1-2", "bytes=١-٢", ""),
    ],
)
def test_other_ranges_are_ignored(service, recording, ignored):
    answer = service.get(recording, headers={"Range": ignored})
    assert (answer.status, len(answer.body)) == (200, SIZE)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize("wanted", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE * 2}", "bytes=-0"])
def test_range_after_the_end_is_refused(service, recording, wanted):
    answer = service.get(recording, headers={"Range": wanted})
    assert (answer.status, answer.json["status_code"]) == (416, 416)
    assert answer.json["status_message"] == "Range Not Satisfiable"
    assert answer.errors["non_field_errors"][0]["code"] == "range"
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


def test_part_is_served_only_of_the_same_recording(service, recording):
    etag = service.get(recording).headers["etag"]
    for tag, status in (
        (etag, 206),
        ('"other"', 200),
        (f"W/{etag}", 200),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 200),
    ):
        headers = {"Range": "bytes=0-9", "If-Range": tag}
        assert service.get(recording, headers=headers).status == status


def test_recording_that_a_caller_has_is_not_sent_again(wire, wire_message):
    recording = f"{wire_message}/recording"
    etag = wire.get(recording).headers["etag"]
    for tag in (etag, f'"x", {etag}', "*", f"W/{etag}"):
        answer = wire.get(recording, headers={"If-None-Match": tag, "Range": "bytes=0-9"})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert wire.get(recording, headers={"If-None-Match": '"x"'}).status == 200


def test_recording_keeps_its_etag_when_the_message_is_marked(service, path, recording):
    etag = service.get(recording).headers["etag"]
    service.patch(recording.removesuffix("/recording"), {"heard": True})
    assert service.get(recording).headers["etag"] == etag


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("audio/wav", 200),
        ("audio/*;q=0.9", 200),
        ("audio/webm,audio/ogg,video/*;q=0.6,*/*;q=0.5", 200),
        ("*/*", 200),
        ("application/json", 200),
        ("text/html", 406),
    ],
)
def test_players_may_accept_audio_only(service, recording, accept, status):
    assert service.get(recording, headers={"Accept": accept}).status == status


def test_errors_are_json_even_for_players(wire, wire_path):
    path = f"{wire_path}/{uuid4()}/recording"
    answer = wire.get(path, headers={"Accept": "audio/wav"})
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
    answer = wire.get(path, headers={"Accept": "audio/wav", "X-Auth-Password": "wrong"})
    assert (answer.status, answer.json["status_code"]) == (401, 401)


def test_missing_recording_is_an_error_in_the_envelope(service, recording):
    message = Message.objects.get()
    message.recording.storage.delete(message.recording.name)
    answer = service.get(recording)
    assert (answer.status, answer.json["status_code"]) == (503, 503)
    assert "retry-after" in answer.headers
    assert str(message.recording.name) not in answer.body.decode()


@pytest.mark.parametrize(("rate", "kept"), [(4_000, 8_000), (16_000, 16_000), (44_100, 16_000)])
def test_recording_has_a_rate_that_browsers_play(service, path, rate, kept):
    message = service.post(path, **make_form(make_wav(rate=rate))).result
    wav = service.get(f"{path}/{message['uuid']}/recording").body
    with wave.open(io.BytesIO(wav)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, kept)
        assert reader.getnframes() == pytest.approx(2 * kept, rel=0.01)


def test_recording_in_the_store_is_encrypted(add):
    add()
    message = Message.objects.get()
    with message.recording.open() as file:
        stored = file.read()
    assert b"RIFF" not in stored
    assert len(stored) == message.size + 28  # nonce and tag
