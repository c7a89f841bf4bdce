"""Transcriptions: which messages wait for one, and what is kept of it."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event

import pytest
from django.db import connection, transaction

from mailboxes.encryption import KeyRing, UnknownKeyError
from mailboxes.models import Mailbox, Message
from mailboxes.models.signals import (
    message_received,
    message_transcribed,
    transcription_requested,
)
from mailboxes.models.transcriptions import Segment
from tests.messages import leave_message

SEGMENTS = [Segment(0.5, 1.2, "Hello."), Segment(1.2, 3.0, "It is me.")]
TEXT = "Hello. It is me."

pytestmark = pytest.mark.django_db


@contextmanager
def connected(signal, function):
    signal.connect(function)
    try:
        yield
    finally:
        signal.disconnect(function)


def fail(**kwargs):
    raise OSError


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales", transcribe=True)


@pytest.fixture
def whisper(settings):
    settings.TRANSCRIBER = "whisper"


@pytest.fixture
def requested():
    """Return the list of messages that are to be transcribed."""
    found = []

    def note(message, **kwargs):
        found.append(message)

    with connected(transcription_requested, note):
        yield found


@pytest.fixture
def announced():
    """Return the list of messages that have been transcribed, with their statuses."""
    found = []

    def note(message, **kwargs):
        found.append((message, message.transcription_status))

    with connected(message_transcribed, note):
        yield found


def reload(message) -> Message:
    return Message.objects.get(pk=message.pk)


# --- Who waits ------------------------------------------------------------------


def test_new_message_waits_for_its_transcription(mailbox, whisper, requested):
    message = leave_message(mailbox)
    assert reload(message).transcription_status == "pending"
    assert requested == [message]


@pytest.mark.parametrize(("transcriber", "transcribe"), [("whisper", False), ("", True)])
def test_message_is_not_transcribed_without_setting_or_transcriber(
    mailbox, settings, requested, transcriber, transcribe
):
    settings.TRANSCRIBER = transcriber
    mailbox.transcribe = transcribe
    mailbox.save()
    assert reload(leave_message(mailbox)).transcription_status == "off"
    assert requested == []


def test_setting_is_read_when_the_message_is_stored(mailbox, whisper):
    Mailbox.objects.update(transcribe=False)  # since the mailbox was read
    assert leave_message(mailbox).transcription_status == "off"


def test_second_message_of_a_call_is_not_transcribed(mailbox, whisper, requested):
    first = leave_message(mailbox, call_id="1")
    assert leave_message(mailbox, call_id="1") == first
    assert requested == [first]


def test_message_is_not_stored_if_its_transcription_cannot_be_requested(mailbox, whisper):
    with connected(transcription_requested, fail), pytest.raises(OSError):  # noqa: PT011
        leave_message(mailbox)
    assert not Message.objects.exists()


def test_recording_of_a_message_that_is_not_stored_is_removed(mailbox):
    names = []

    def note_and_fail(message, **kwargs):
        names.append(message.recording.name)
        raise OSError

    with connected(message_received, note_and_fail), pytest.raises(OSError):  # noqa: PT011
        leave_message(mailbox)
    assert not Message.recording.field.storage.exists(names[0])


def test_deleted_message_waits_until_it_is_restored(mailbox, whisper, requested, announced):
    message = leave_message(mailbox)
    message.soft_delete()
    assert not Message.finish_transcription(message.pk, "done", SEGMENTS)
    message = reload(message)
    assert (message.transcription, message.transcription_status) == (None, "pending")
    del requested[:]
    message.restore()
    assert requested == [message]
    assert announced == []
    assert Message.finish_transcription(message.pk, "done", SEGMENTS)


def test_restored_message_with_a_transcription_stays_as_it_is(mailbox, whisper, requested):
    message = leave_message(mailbox, text=TEXT)
    message.soft_delete()
    del requested[:]
    message.restore()
    assert requested == []
    assert reload(message).transcription == TEXT


@pytest.mark.django_db(transaction=True)
def test_change_at_the_same_time_as_the_outcome_is_kept_too(mailbox, whisper):
    message = leave_message(mailbox)
    has_read = Event()

    def mark_heard():
        """Do what the API does, which locks the mailbox."""
        with closing(connection), transaction.atomic():
            Mailbox.objects.select_for_update(no_key=True).get()
            row = reload(message)
            has_read.set()
            time.sleep(0.3)
            row.mark_heard(True)

    with ThreadPoolExecutor(1) as pool:
        marked = pool.submit(mark_heard)
        has_read.wait()
        Message.finish_transcription(message.pk, "done", SEGMENTS)
        marked.result()
    saved = reload(message)
    assert (saved.is_heard, saved.transcription) == (True, TEXT)
    assert saved.version == message.version + 2


# --- What is kept ---------------------------------------------------------------


def test_transcription_is_kept_with_its_times_and_raises_the_version(mailbox, whisper, announced):
    message = leave_message(mailbox)
    assert Message.finish_transcription(message.pk, "done", SEGMENTS)
    saved = reload(message)
    assert (saved.transcription, saved.transcription_status) == (TEXT, "done")
    assert saved.readable_segments == SEGMENTS
    assert saved.version == message.version + 1
    assert announced == [(message, "done")]


@pytest.mark.parametrize("status", ["no_speech", "failed", "off"])
def test_message_without_words_has_a_status_and_no_text(mailbox, whisper, announced, status):
    message = leave_message(mailbox)
    assert Message.finish_transcription(message.pk, status)
    saved = reload(message)
    assert (saved.transcription, saved.transcription_status) == (None, status)
    assert saved.readable_segments == []
    assert announced == [(message, status)]


def test_text_with_an_unknown_time_is_kept_without_times(mailbox, whisper):
    message = leave_message(mailbox)
    Message.finish_transcription(message.pk, "done", [SEGMENTS[0], Segment(None, None, "Bye.")])
    saved = reload(message)
    assert saved.transcription == "Hello. Bye."
    assert saved.readable_segments == []


def test_new_text_removes_the_times_of_the_earlier_one(mailbox, whisper):
    message = leave_message(mailbox)
    Message.finish_transcription(message.pk, "done", SEGMENTS)
    message = reload(message)
    message.transcription = "Corrected."
    assert message.readable_segments == []


def test_text_and_times_are_encrypted_and_bound_to_their_message(mailbox, whisper):
    message, other = leave_message(mailbox), leave_message(mailbox)
    for each in (message, other):
        Message.finish_transcription(each.pk, "done", SEGMENTS)
    message = reload(message)
    assert "Hello" not in message.transcription_sealed + message.segments_sealed
    message.segments_sealed = reload(other).segments_sealed
    assert message.readable_segments == []


def test_second_outcome_is_ignored(mailbox, whisper, announced):
    message = leave_message(mailbox)
    assert Message.finish_transcription(message.pk, "done", SEGMENTS)
    assert not Message.finish_transcription(message.pk, "failed")
    assert reload(message).transcription == TEXT
    assert len(announced) == 1


def test_outcome_of_a_removed_message_is_ignored(mailbox, whisper, announced):
    message = leave_message(mailbox)
    Message.objects.all().delete()
    assert not Message.finish_transcription(message.pk, "done", SEGMENTS)
    assert announced == []


def test_outcome_is_not_saved_if_a_receiver_fails(mailbox, whisper):
    message = leave_message(mailbox)
    with connected(message_transcribed, fail), pytest.raises(OSError):  # noqa: PT011
        Message.finish_transcription(message.pk, "done", SEGMENTS)
    assert reload(message).transcription_status == "pending"


def test_failure_is_saved_without_the_key_but_no_text(mailbox, whisper, settings):
    message = leave_message(mailbox)
    settings.PASS_CODE_KEYS = KeyRing([b"k" * 32])
    with pytest.raises(UnknownKeyError):
        Message.finish_transcription(message.pk, "done", SEGMENTS)
    assert Message.finish_transcription(message.pk, "failed")


def test_failed_message_can_be_transcribed_again(mailbox, whisper, requested):
    message = leave_message(mailbox)
    Message.finish_transcription(message.pk, "failed")
    message = reload(message)
    del requested[:]
    message.request_transcription()
    assert reload(message).transcription_status == "pending"
    assert requested == [message]
    assert Message.finish_transcription(message.pk, "done", SEGMENTS)
