"""Real task workers transcribe with Whisper, and are killed meanwhile."""

from pathlib import Path

import pytest

from mailboxes.models import Mailbox, Message
from tests.conftest import database_url
from tests.delivery.running import RunningWorker
from tests.delivery.spoken import SENTENCES, measure_understood, record_call
from tests.delivery.test_whisper import UNDERSTOOD, real_whisper
from tests.server import until

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = " ".join(SENTENCES[:6])


@pytest.fixture
def message(account, settings):
    settings.TRANSCRIBER = "whisper"
    mailbox = Mailbox.objects.create(account=account, name="Sales", transcribe=True)
    return Message.receive(mailbox, record_call(TEXT))[0]


def run_worker() -> RunningWorker:
    return RunningWorker(database_url(), TRANSCRIBER="whisper")


def list_children(process) -> list[Path]:
    """Return the folders in /proc of the processes that this one has started."""
    threads = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [Path("/proc", pid) for path in threads for pid in path.read_text().split()]


@real_whisper
def test_spoken_message_is_transcribed(message):
    with run_worker():
        saved = until(Message.objects.filter(transcription_status="done").first)
    assert measure_understood(TEXT, saved.transcription) >= UNDERSTOOD
    assert len(saved.readable_segments) > 1


@real_whisper
def test_transcription_of_a_killed_worker_is_done_by_the_next(message):
    with run_worker() as worker:
        [whisper] = until(lambda: list_children(worker.process))
        worker.kill()
    until(lambda: not whisper.exists())  # it ends by itself
    assert Message.objects.get().transcription_status == "pending"
    with run_worker():
        saved = until(Message.objects.filter(transcription_status="done").first)
    assert saved.version == message.version + 1
    assert measure_understood(TEXT, saved.transcription) >= UNDERSTOOD
