"""The task that transcribes: its retries and failures, and changes meanwhile."""

from contextlib import contextmanager

import pytest
from django_tasks_db.models import DBTaskResult

from mailboxes.delivery import transcription
from mailboxes.delivery.failures import describe_failure, list_failed, try_again
from mailboxes.delivery.transcribers import HttpTranscriber
from mailboxes.delivery.transcription import DELAYS
from mailboxes.encryption import KeyRing
from mailboxes.models import Mailbox, Message
from mailboxes.models.signals import message_transcribed
from mailboxes.storage import recordings_store
from tests.delivery.running import list_delays, pass_time, run_tasks
from tests.delivery.speech_server import SAID, answer_with, speech_server
from tests.messages import leave_message

DAY = 24 * 3600
SEGMENTS = ["Please call me back", "about the order."]

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings):
    with speech_server(settings) as server:
        yield server


@pytest.fixture
def mailbox(account, server):
    return Mailbox.objects.create(account=account, name="Sales", transcribe=True)


def reload(message) -> Message:
    return Message.objects.get(pk=message.pk)


def run_until_idle() -> int:
    """Run the tasks and their retries, and return the number of attempts."""
    count = run_tasks()
    while list_delays():
        pass_time(days=1)
        count += run_tasks()
    return count


def list_errors() -> list[str]:
    return [row.traceback for row in DBTaskResult.objects.exclude(traceback="")]


@contextmanager
def observe(signal):
    """Yield the list of the messages for which the signal is sent."""
    found = []

    def note(message, **kwargs):
        found.append(message)

    signal.connect(note)
    try:
        yield found
    finally:
        signal.disconnect(note)


# --- Success --------------------------------------------------------------------


def test_message_is_transcribed_with_times(mailbox, server):
    message = leave_message(mailbox)
    with observe(message_transcribed) as announced:
        assert run_tasks() == 1
    saved = reload(message)
    assert (saved.transcription, saved.transcription_status) == (SAID, "done")
    assert [segment.text for segment in saved.readable_segments] == SEGMENTS
    assert announced == [message]
    assert message.read_recording() in server.requests[0][2]


def test_message_without_words_has_no_speech(mailbox, server):
    server.answer = answer_with(b'{"text": ""}')
    message = leave_message(mailbox)
    run_tasks()
    assert reload(message).transcription_status == "no_speech"


def test_message_without_transcription_makes_no_task(mailbox):
    mailbox.transcribe = False
    mailbox.save()
    leave_message(mailbox)
    assert not DBTaskResult.objects.exists()


def test_task_that_runs_twice_changes_nothing_more(mailbox, server):
    message = leave_message(mailbox)
    transcription.transcribe_message.enqueue(str(message.pk))
    assert run_tasks() == 2
    assert len(server.requests) == 1
    assert reload(message).version == message.version + 1


# --- Failures -------------------------------------------------------------------


def test_failure_is_tried_again_for_a_day_and_then_shown(mailbox, server):
    server.answer = answer_with(b"", 500)
    message = leave_message(mailbox)
    run_tasks()
    [delay] = list_delays()
    assert 20 < delay < 40
    assert reload(message).transcription_status == "pending"
    with observe(message_transcribed) as announced:
        run_until_idle()
    assert len(server.requests) == len(DELAYS) + 1
    assert DAY * 0.8 < sum(DELAYS) < DAY * 1.2
    assert reload(message).transcription_status == "failed"
    assert announced == [message]
    assert list_errors() == ["The transcriber answered 500"]


def test_transcriber_that_is_back_transcribes_what_waits(mailbox, server):
    working, server.answer = server.answer, answer_with(b"", 503)
    messages = [leave_message(mailbox) for _ in range(3)]
    run_tasks()
    server.answer = working
    pass_time(hours=1)
    assert run_tasks() == 3
    assert {reload(message).transcription for message in messages} == {SAID}


def test_refused_recording_is_tried_once(mailbox, server):
    server.answer = answer_with(b"", 413)
    message = leave_message(mailbox)
    assert run_until_idle() == 1
    assert reload(message).transcription_status == "failed"


def test_failed_message_is_tried_again_on_request(mailbox, server):
    working, server.answer = server.answer, answer_with(b"", 413)
    message = leave_message(mailbox)
    run_tasks()
    failure = describe_failure(list_failed().get())
    assert (failure.title, failure.message) == ("Transcribe a message", message)
    server.answer = working
    reload(message).request_transcription()
    assert run_tasks() == 1
    assert reload(message).transcription == SAID
    assert not list_failed().exists()


def test_failed_task_that_is_started_again_transcribes(mailbox, server):
    working, server.answer = server.answer, answer_with(b"", 413)
    message = leave_message(mailbox)
    run_tasks()
    server.answer = working
    try_again(list_failed())
    run_tasks()
    assert reload(message).transcription == SAID


def test_message_whose_key_is_missing_is_transcribed_once_it_is_back(mailbox, server, settings):
    message = leave_message(mailbox)
    keys, settings.PASS_CODE_KEYS = settings.PASS_CODE_KEYS, KeyRing([b"k" * 32])
    run_tasks()
    assert server.requests == []
    assert f"its key {keys.current} is not in PASS_CODE_KEYS" in list_errors()[0]
    settings.PASS_CODE_KEYS = keys
    pass_time(minutes=1)
    run_tasks()
    assert reload(message).transcription == SAID


def test_message_whose_key_is_lost_fails(mailbox, settings):
    message = leave_message(mailbox)
    settings.PASS_CODE_KEYS = KeyRing([b"k" * 32])
    run_until_idle()
    assert reload(message).transcription_status == "failed"


def test_damaged_recording_fails_at_once(mailbox, server):
    message = leave_message(mailbox)
    with recordings_store().open(message.recording.name, "r+b") as file:
        file.write(b"damaged")
    assert run_until_idle() == 1
    assert list_errors() == ["The recording cannot be decrypted: it was damaged."]
    assert reload(message).transcription_status == "failed"


def test_recording_that_cannot_be_read_is_tried_again(mailbox, server):
    message = leave_message(mailbox)
    recordings_store().delete(message.recording.name)
    run_tasks()
    assert len(list_delays()) == 1
    assert reload(message).transcription_status == "pending"


def test_transcriber_that_is_removed_leaves_the_message_without_one(mailbox, settings):
    message = leave_message(mailbox)
    settings.TRANSCRIBER = ""
    run_tasks()
    assert reload(message).transcription_status == "off"


# --- Changes meanwhile ----------------------------------------------------------


@pytest.fixture
def meanwhile(monkeypatch):
    """Return a function: what it gets is called during the transcription."""

    class Changing(HttpTranscriber):
        def transcribe(self, recording):
            self.change()
            return super().transcribe(recording)

    monkeypatch.setattr(transcription, "get_transcriber", Changing)
    return lambda change: setattr(Changing, "change", staticmethod(change))


def test_message_that_is_heard_meanwhile_stays_heard(mailbox, meanwhile):
    message = leave_message(mailbox)
    meanwhile(lambda: reload(message).mark_heard(True))
    run_tasks()
    assert reload(message).is_heard
    assert reload(message).transcription == SAID


def test_message_that_is_deleted_meanwhile_keeps_its_version(mailbox, meanwhile):
    message = leave_message(mailbox)
    meanwhile(lambda: reload(message).soft_delete())
    run_tasks()
    saved = reload(message)
    assert (saved.transcription, saved.version) == (None, message.version + 1)
    meanwhile(lambda: None)
    saved.restore()
    run_tasks()
    assert reload(message).transcription == SAID


def test_message_that_is_removed_meanwhile_is_no_failure(mailbox, meanwhile):
    leave_message(mailbox)
    meanwhile(lambda: Message.objects.all().delete())
    assert run_until_idle() == 1
    assert list_errors() == []


def test_deleted_message_is_transcribed_after_its_restore(mailbox, server):
    message = leave_message(mailbox)
    message.soft_delete()
    run_tasks()
    assert server.requests == []
    reload(message).restore()
    run_tasks()
    assert reload(message).transcription == SAID


def test_removed_message_is_no_failure(mailbox, server):
    leave_message(mailbox)
    Message.objects.all().delete()
    assert run_until_idle() == 1
    assert server.requests == []
    assert list_errors() == []


def test_message_of_a_deleted_mailbox_is_transcribed(mailbox):
    message = leave_message(mailbox)
    mailbox.soft_delete()
    run_tasks()
    assert reload(message).transcription == SAID
