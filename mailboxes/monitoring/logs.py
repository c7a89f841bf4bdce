"""How a line of the log is written: as text or as JSON, always one line, with the id of its request."""

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

# The id of the request that is being answered, as its answer's X-Request-ID has it.
request_id: ContextVar[str] = ContextVar("request_id", default="-")

# Why the request was refused, in a fixed word: never a caller's. The answer does not tell.
refusal: ContextVar[str] = ContextVar("refusal", default="")

SIGNED = re.compile(r"(/sounds/+)[\w%-]+", re.ASCII | re.IGNORECASE)


# No line shows these, and finding them out takes time (Python's Logging HOWTO, "Optimization").
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def without_signatures(line: str) -> str:
    """The line without what signs a greeting's address: it opens the greeting to whoever has it."""
    return SIGNED.sub(without_its_signature, line)


def without_its_signature(address: re.Match) -> str:
    return f"{address[1]}-"


@lru_cache(maxsize=1)  # many lines are of one second
def written(second: int) -> str:
    """The second in this machine's time zone, and how far that is from UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(second))


class Lines(logging.StreamHandler):
    """Write each record as one piece: at once, or in the background once a LineWriter runs."""

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
    """Writes log lines to standard output in a thread of its own, from `start` to `stop`.

    A reader of standard output that stalls never blocks a request: up to MAX_LINES wait for it.
    Further ones are dropped, and a line says how many once the reader goes on. Whoever kills the
    process loses the lines of the last INTERVAL.
    """

    MAX_LINES = 10_000
    INTERVAL = 0.05  # seconds: one write for all lines of that time costs less than one for each
    PATIENCE = 2  # seconds, for the last lines

    running: "LineWriter | None" = None  # in this process

    def __init__(self):
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
        """Write what is left, and write at once from now on, unless the reader stalls."""
        writer = cls.running
        if writer is None:
            return
        writer.is_stopping.set()
        writer.has_lines.set()
        writer.thread.join(cls.PATIENCE)
        if not writer.thread.is_alive():
            cls.running = None

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
        with suppress(OSError):  # nobody reads standard output any more
            # Not to sys.stdout, whose lock would stall the process at its end.
            write_all(sys.stdout.fileno(), "".join(lines).encode())
        if dropped:
            log.warning("%s log lines were dropped: standard output was not read.", dropped)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data to a file descriptor. Raises OSError."""
    while data:
        data = data[os.write(descriptor, data) :]


class TextLines(logging.Formatter):
    """Text in which nothing that a caller sent begins a line: not in a message, not in a stack's."""

    def format(self, record):
        told = f"{record.levelname} {record.name} {record.getMessage()} id={request_id.get()}"
        line = f"{written(int(record.created))} {one_line(told)}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return without_signatures(line)

    def formatException(self, ei):  # noqa: N802  logging's own name
        return indent("\n".join(super().formatException(ei).splitlines()), "  ")


def one_line(text: str) -> str:
    return "\\n".join(text.splitlines())


class JSONLines(logging.Formatter):
    """One JSON object a line. What a message was given by name has its own place in it too."""

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
        return without_signatures(json.dumps(line, default=str))
