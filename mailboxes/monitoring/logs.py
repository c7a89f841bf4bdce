"""Log formatters. Each line has the id of its request."""

import json
import logging
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from textwrap import indent

# The id of the current request, which its answer has in X-Request-ID.
request_id: ContextVar[str] = ContextVar("request_id", default="-")

# Why the request was refused: one of the words in docs/operations.md. The answer does not say.
refusal: ContextVar[str] = ContextVar("refusal", default="")

SIGNED_PATH = re.compile(r"(/sounds/+)[\w%-]+", re.ASCII | re.IGNORECASE)

# No line shows these, and collecting them takes time (Python's Logging HOWTO, "Optimization").
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def remove_signatures(line: str) -> str:
    """Remove signatures of greetings' addresses, with which anyone could fetch the greeting."""
    return SIGNED_PATH.sub(r"\1-", line)


@lru_cache(maxsize=1)  # many lines are written in the same second
def format_time(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(second))


class LineHandler(logging.StreamHandler):
    """Write each line with one call. Python's handler takes its lock a second time to flush."""

    def emit(self, record):
        try:
            self.stream.write(f"{self.format(record)}\n")
            self.stream.flush()
        except Exception:
            self.handleError(record)


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
