"""How a line of the log is written: as text or as JSON, always one line, with the id of its request."""

import json
import logging
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from textwrap import indent

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
    """Writes each line as one piece, at once: the lock that it holds is taken once."""

    def emit(self, record):
        try:
            self.stream.write(f"{self.format(record)}\n")
            self.stream.flush()
        except Exception:
            self.handleError(record)


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
