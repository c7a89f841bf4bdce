"""A recording that has arrived is kept while the server stops, and delays no other call."""

import os
import signal
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.audio.hostile import make_long_wav
from tests.audio.test_decoder import is_running
from tests.recordings import make_form, make_wav
from tests.server import PreparedServer, until, workers
from tests.service import OverSocket

pytestmark = pytest.mark.long

SLOW_SECONDS = 2  # for which a recording is being decoded


@pytest.fixture
def server(tmp_path):
    recordings = str(tmp_path / "recordings")
    url = f"sqlite:///{tmp_path}/mailboxes.sqlite3"
    with PreparedServer(url, RECORDINGS_DIR=recordings, WEB_CONCURRENCY="1") as server:
        yield server


@pytest.fixture
def path(server):
    with closing(connect(server)) as program:
        mailbox = program.post("/voip/mailbox", {"name": "Sales"}).result["uuid"]
        path = f"/voip/mailbox/{mailbox}/messages"
        assert program.post(path, **make_form(make_wav())).status == 201
        return path


def connect(server) -> OverSocket:
    return OverSocket(server.headers, port=server.port)


def find_decoders(server) -> set[int]:
    (worker,) = workers(server)
    children = Path(f"/proc/{worker}/task").glob("*/children")
    return {int(pid) for file in children for pid in file.read_text().split()}


class Upload(threading.Thread):
    """Sends a recording of 15 minutes; `answer` is None if there is none."""

    answer = None

    def __init__(self, server, path):
        super().__init__()
        self.program, self.path = connect(server), path
        self.start()

    def run(self):
        with closing(self.program), suppress(OSError):
            self.answer = self.program.post(self.path, **make_form(make_long_wav(15)))


def hold_decoder(server) -> int:
    """Stop the process that decodes, so that the next recording waits."""
    (decoder,) = find_decoders(server)
    os.kill(decoder, signal.SIGSTOP)
    return decoder


def list_recordings(tmp_path) -> list[Path]:
    return [path for path in (tmp_path / "recordings").rglob("*") if path.is_file()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_recording_that_has_arrived_is_kept_when_the_server_stops(server, path, number, tmp_path):
    decoder = hold_decoder(server)
    upload = Upload(server, path)
    time.sleep(SLOW_SECONDS)
    os.killpg(server.process.pid, number)  # as Ctrl-C does
    time.sleep(SLOW_SECONDS)
    os.kill(decoder, signal.SIGCONT)
    upload.join()
    assert upload.answer.status == 201
    assert server.process.wait(timeout=60) == 0
    until(lambda: not is_running(decoder))
    server.start()
    with closing(connect(server)) as program:
        assert len(program.get(path).result) == len(list_recordings(tmp_path)) == 2


def test_other_calls_are_answered_while_a_recording_is_decoded(server, path):
    decoder = hold_decoder(server)
    upload = Upload(server, path)
    time.sleep(SLOW_SECONDS)
    with closing(connect(server)) as program:
        for _ in range(20):
            assert program.get(path).status == 200
            assert program.post("/voip/mailbox", {"name": "Other"}).status == 201
    assert upload.answer is None
    os.kill(decoder, signal.SIGCONT)
    upload.join()
    assert upload.answer.status == 201


def test_killed_worker_leaves_no_decoder_and_no_row(server, path, tmp_path):
    decoder = hold_decoder(server)
    upload = Upload(server, path)
    time.sleep(SLOW_SECONDS)
    (worker,) = workers(server)
    os.kill(worker, signal.SIGKILL)
    os.kill(decoder, signal.SIGCONT)
    upload.join()
    assert upload.answer is None
    until(lambda: not is_running(decoder))
    until(lambda: workers(server) - {worker})
    server.wait_until_up()
    with closing(connect(server)) as program:
        assert len(program.get(path).result) == len(list_recordings(tmp_path)) == 1
        assert program.post(path, **make_form(make_wav())).status == 201
