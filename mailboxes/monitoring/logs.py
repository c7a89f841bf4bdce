"""Log formatters. Each line has the id of its request."""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from textwrap import indent
from threading import Event, Lock, Thread

log = logging.getLogger("mailboxes")

# The id of the current request, which its answer has in X-Request-ID.
request_id: ContextVar[str] = ContextVar("request_id", default="-")

# Why the request was refused: one of the words in docs/operations.md. The answer does not say.
refusal: ContextVar[str] = ContextVar("refusal", default="")

SIGNED_PATH = re.compile(r"(/sounds/+|/sign-in/password/[\w%-]+/)[\w%-]+", re.ASCII | re.IGNORECASE)

# No line shows these, and collecting them takes time (Python's Logging HOWTO, "Optimization").
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def remove_signatures(line: str) -> str:
    """Remove signatures, with which a log's reader could get a greeting or set a password."""
    return SIGNED_PATH.sub(r"\1-", line)


@lru_cache(maxsize=1)  # many lines are written in the same second
def format_time(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(second))


class LineHandler(logging.StreamHandler):
    """Write each line with one call: at once, or in the background while a LineWriter runs."""

    def emit(self, record):
        try:
            text = f"{self.format(record)}\n"
            if LineWriter.running:
                LineWriter.running.add(text)
            else:
                self.stream.write(text)
                self.stream.flush()
        except Exception:
            self.handleError(record)


class LineWriter:
    """Write log lines to standard output in a thread, so that no request waits for its reader.

    Up to MAX_LINES wait for a reader that stalls. Further ones are dropped, and a line says how
    many once the reader continues. A process that is killed loses the lines of its
    last INTERVAL.
    """

    MAX_LINES = 10_000
    INTERVAL = 0.05  # seconds: one write for all lines of that time costs less than one for each
    STOP_TIMEOUT = 2  # seconds to write the last lines when the process ends

    running: "LineWriter | None" = None  # in this process

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.dropped = 0
        self.lock = Lock()
        self.has_lines, self.is_stopping = Event(), Event()
        self.thread = Thread(target=self.run, name="log lines", daemon=True)

    @classmethod
    def start(cls) -> None:
        cls.running = cls()
        cls.running.thread.start()

    @classmethod
    def stop(cls) -> None:
        """Write what is left, unless the reader stalls. Later lines of the process are lost.

        To write them at once could keep the process from ending: it waits for the reader.
        """
        if writer := cls.running:
            writer.is_stopping.set()
            writer.has_lines.set()
            writer.thread.join(cls.STOP_TIMEOUT)

    def add(self, text: str) -> None:
        """Add a line to be written, or count it as dropped."""
        with self.lock:
            if len(self.lines) < self.MAX_LINES:
                self.lines.append(text)
            else:
                self.dropped += 1
        if not self.has_lines.is_set():
            self.has_lines.set()

    def run(self) -> None:
        while not self.is_stopping.is_set():
            self.has_lines.wait()
            self.is_stopping.wait(self.INTERVAL)
            self.has_lines.clear()
            self.write()

    def write(self) -> None:
        with self.lock:
            lines, self.lines = self.lines, []
            dropped, self.dropped = self.dropped, 0
        with suppress(OSError):  # standard output is closed
            # sys.stdout has a lock, and a stalled write would keep it when the process ends.
            write_all(sys.stdout.fileno(), "".join(lines).encode())
        if dropped:
            log.warning("%s log lines were dropped: standard output was not read.", dropped)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data to a file descriptor. Raises OSError."""
    while data:
        data = data[os.write(descriptor, data) :]


class TextFormatter(logging.Formatter):
    """Text. Line breaks are escaped or indented, so that a client cannot forge a line."""

    def format(self, record):
        text = f"{record.levelname} {record.name} {record.getMessage()} id={request_id.get()}"
        line = f"{format_time(int(record.created))} {escape_line_breaks(text)}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return remove_signatures(line)

    def formatException(self, ei):  # noqa: N802  a name of Python's logging
        return indent("\n".join(super().formatException(ei).splitlines()), "  ")


def escape_line_breaks(text: str) -> str:
    return "\\n".join(text.splitlines())


class JSONFormatter(logging.Formatter):
    """One JSON object a line. Named arguments of a message are keys of the object too."""

    def format(self, record):
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
        }
        if isinstance(record.args, Mapping):
            line |= record.args
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return remove_signatures(json.dumps(line, default=str))
