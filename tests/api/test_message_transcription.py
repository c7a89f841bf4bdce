"""The transcription of a message, and its status, as a program sees them."""

import pytest

from mailboxes.models import Message
from mailboxes.models.transcriptions import Segment

SEGMENTS = [Segment(0.0, 1.0, "Hello."), Segment(1.0, 2.0, "It is me.")]


@pytest.fixture
def pending(add, mailbox, path, settings):
    """Return the path and the UUID of a message that waits for its transcription."""
    settings.TRANSCRIBER = "whisper"
    mailbox.transcribe = True
    mailbox.save()
    shown = add()
    assert (shown["transcription"], shown["transcription_status"]) == (None, "pending")
    return f"{path}/{shown['uuid']}", shown["uuid"]


@pytest.mark.parametrize(
    ("status", "segments", "text"),
    [
        ("done", SEGMENTS, "Hello. It is me."),
        ("no_speech", [], None),
        ("failed", [], None),
    ],
)
def test_outcome_is_shown_with_another_etag(service, pending, status, segments, text):
    address, uuid = pending
    etag = service.get(address).headers["etag"]
    Message.finish_transcription(uuid, status, segments)
    answer = service.get(address, headers={"If-None-Match": etag})
    assert answer.status == 200
    assert answer.headers["etag"] != etag
    assert answer.result["transcription"] == text
    assert answer.result["transcription_status"] == status


def test_change_of_what_was_read_before_the_transcription_is_refused(service, pending):
    address, uuid = pending
    etag = service.get(address).headers["etag"]
    Message.finish_transcription(uuid, "done", SEGMENTS)
    answer = service.patch(address, {"heard": True}, headers={"If-Match": etag})
    assert answer.status == 412


def test_transcription_is_in_lists_and_found(service, pending, path):
    _, uuid = pending
    Message.finish_transcription(uuid, "done", SEGMENTS)
    [shown] = service.get(f"{path}?search=it+is+hello").result
    assert shown["transcription"] == "Hello. It is me."


def test_message_without_a_transcriber_is_off(add, mailbox):
    mailbox.transcribe = True
    mailbox.save()
    assert add()["transcription_status"] == "off"
