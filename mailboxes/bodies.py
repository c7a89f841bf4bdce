"""Request bodies: how much of one is read, and for how long; and that it is text in UTF-8."""

import re
import tempfile
from io import BytesIO
from typing import IO, NamedTuple
from weakref import WeakSet

from django.conf import settings

from mailboxes.contract import MAX_BODY_BYTES, MAX_DISCARDED_BYTES, is_program_path

# In the environ of a request that cannot be served: the status and the message of its answer.
REFUSAL = "mailboxes.refused"

MAX_UPLOAD_BYTES = 33 * 1024 * 1024  # a CSV file of staff, and the form around it
MEMORY_BYTES = 1024 * 1024  # what is longer goes to a file that has no name
MAX_FILES = 32  # such files at once in a process: anybody may send one

# The parameters of a Content-Type, except the boundary of a form's parts.
PARAMETERS = re.compile(r";(?!\s*boundary=)[^;]*", re.IGNORECASE)


class TooManyFilesError(Exception):
    """MAX_FILES bodies are in files already."""


class LongBody(tempfile.SpooledTemporaryFile):
    """A body in memory, and in a file once it is longer than that. Raises TooManyFilesError."""

    in_files: WeakSet = WeakSet()

    def __init__(self):
        super().__init__(MEMORY_BYTES)

    def rollover(self):
        if len(self.in_files) >= MAX_FILES:
            raise TooManyFilesError
        self.in_files.add(self)
        super().rollover()


class Limits(NamedTuple):
    """Limits of a request's body: bytes that are kept, bytes that are read, and seconds to read them in.

    One byte more is kept than the application takes, so that it refuses a larger body.
    """

    kept: int
    read: int
    seconds: int

    def file(self) -> IO[bytes]:
        """Return an empty file to keep the body in."""
        if self.kept > MEMORY_BYTES + 1:
            return LongBody()
        return BytesIO()


def limits_of(path: str) -> Limits:
    """Return the limits of a body sent to this path.

    The contract: a body over 1 MiB is 413 "and the answer reaches the caller: up to 16 MiB is read
    and thrown away first". A server that answers without reading resets the connection.
    """
    if is_program_path(path):
        return Limits(MAX_BODY_BYTES + 1, MAX_DISCARDED_BYTES, settings.REQUEST_TIMEOUT)
    return Limits(MAX_UPLOAD_BYTES + 1, MAX_UPLOAD_BYTES + 1, settings.UPLOAD_TIMEOUT)


class AlwaysUTF8:
    """WSGI middleware: take paths and bodies as UTF-8, whatever encoding the Content-Type names.

    Some of Python's encodings raise or give no text. With one of those, be it the body's or that of
    a parameter (RFC 8187), Django fails while it builds the request or shows the page that refuses
    the form: the request has no line in the log, and its answer lacks every security header.
    """

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        if "CONTENT_TYPE" in environ:
            environ["CONTENT_TYPE"] = PARAMETERS.sub("", environ["CONTENT_TYPE"])
        return self.application(environ, start_response)
