"""A reader of the log that stalls does not stop the service."""

import logging
import os
from contextlib import closing

import pytest

from mailboxes.monitoring.logs import LineHandler, LineWriter
from tests.server import PreparedServer
from tests.service import OverSocket

CALLS = 700  # over 100 bytes of log each: more than a pipe's 64 KiB (pipe(7))


class UnreadServer(PreparedServer):
    """A server whose standard output is a pipe that nobody reads."""

    def start(self):
        self.log.close()
        self.unread, writer = os.pipe()
        self.log = os.fdopen(writer, "w")
        super().start()

    def __exit__(self, *error):
        super().__exit__(*error)
        os.close(self.unread)


@pytest.mark.long
def test_stalled_reader_of_the_log_stops_no_call(tmp_path):
    with (
        UnreadServer(f"sqlite:///{tmp_path}/mailboxes.sqlite3") as server,
        closing(OverSocket(server.headers, port=server.port)) as service,
    ):
        statuses = {service.get("/voip/mailbox").status for _ in range(CALLS)}
    assert statuses == {200}


def test_lines_are_written_in_order(capfd):
    writer = LineWriter()
    writer.add("one\n")
    writer.add("two\n")
    writer.write()
    assert capfd.readouterr().out == "one\ntwo\n"


def test_lines_over_the_limit_are_dropped_and_counted(capfd, caplog):
    writer = LineWriter()
    writer.MAX_LINES = 2
    for line in ("one\n", "two\n", "three\n", "four\n"):
        writer.add(line)
    writer.write()
    assert capfd.readouterr().out == "one\ntwo\n"
    assert caplog.messages == ["2 log lines were dropped: standard output was not read."]


def test_last_lines_are_written_when_it_stops(capfd, monkeypatch):
    monkeypatch.setattr(LineWriter, "running", None)
    LineWriter.start()
    LineWriter.running.add("last\n")
    LineWriter.stop()
    assert capfd.readouterr().out == "last\n"


def test_line_after_the_stop_does_not_block_the_process(monkeypatch):
    """Two processes write to one pipe, so one may find it full only after its last line."""
    monkeypatch.setattr(LineWriter, "running", None)
    LineWriter.start()
    LineWriter.stop()
    LineHandler().emit(logging.makeLogRecord({"msg": "The process ends."}))
    assert LineWriter.running.lines == ["The process ends.\n"]
