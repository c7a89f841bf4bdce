"""Bodies: how much of a request's is read, and for how long; what is kept in files; text in UTF-8."""

import re
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from io import BytesIO
from typing import IO, NamedTuple
from weakref import WeakSet

from django.conf import settings
from django.http import JsonResponse

from mailboxes import contract
from mailboxes.contract import MAX_BODY_BYTES, MAX_DISCARDED_BYTES, is_machine_path
from mailboxes.monitoring import logs


class Refusals:
    """Answer a request that the server refused: ambiguous, late or too large. In the envelope."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if REFUSAL not in request.META:
            return self.get_response(request)
        status, message = request.META[REFUSAL]
        logs.refusal.set("malformed")
        errors = {"non_field_errors": [{"code": "invalid", "message": message}]}
        # The rest of the request must not be taken for the next one.
        headers = {"Connection": "close"}
        if status == 503:
            headers["Retry-After"] = str(contract.RETRY_SECONDS)
        return JsonResponse(
            contract.envelope(status, errors=errors), status=status, headers=headers
        )


# In the environ of a request that cannot be served: the status and the message of its answer.
REFUSAL = "mailboxes.refused"

MAX_UPLOAD_BYTES = 33 * 1024 * 1024  # a CSV file of staff, and the form around it
MEMORY_BYTES = 1024 * 1024  # what is longer goes to a file that has no name
# Files at once in a process (config/server.py keeps descriptors for them): of requests, which
# anybody may send, and of answers, of which more stay in memory.
MAX_RECEIVED = 32
MAX_SENT = 64
READ_BYTES = 256 * 1024  # of a file, to send them

# The parameters of a Content-Type, except the boundary of a form's parts.
PARAMETERS = re.compile(r";(?!\s*boundary=)[^;]*", re.IGNORECASE)


class TooManyFilesError(Exception):
    """The limit of bodies kept in files is reached."""


class LongBody(tempfile.SpooledTemporaryFile):
    """A body in memory, and in a file once it is longer than that. Raises TooManyFilesError."""

    def __init__(self, in_files: WeakSet, most: int):
        super().__init__(MEMORY_BYTES)
        self.in_files, self.most = in_files, most

    def rollover(self):
        if len(self.in_files) >= self.most:
            raise TooManyFilesError
        self.in_files.add(self)
        super().rollover()


RECEIVED: WeakSet = WeakSet()  # requests' bodies that are in files
SENT: WeakSet = WeakSet()  # answers'


def move_to_file(first: bytes, others: Iterable[bytes]) -> tuple[Iterator[bytes], LongBody]:
    """Keep an answer in a file. Return its pieces, and the file to close."""
    file = LongBody(SENT, MAX_SENT)
    file.rollover()
    file.write(first)
    file.writelines(others)
    file.seek(0)
    return iter(partial(file.read, READ_BYTES), b""), file


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
            return LongBody(RECEIVED, MAX_RECEIVED)
        return BytesIO()


def limits_of(path: str) -> Limits:
    """Return the limits of a body sent to this path.

    The contract: a body over 1 MiB is 413 "and the answer reaches the caller: up to 16 MiB is read
    and thrown away first". A server that answers without reading resets the connection.
    """
    if is_machine_path(path):
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
