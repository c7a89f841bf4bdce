"""Bodies of requests and answers: limits, temporary files, and UTF-8."""

import re
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from io import BytesIO
from typing import IO, NamedTuple
from weakref import WeakSet

from django.conf import settings
from django.http import JsonResponse
from django.shortcuts import render
from django.urls import reverse

from mailboxes import contract, validators
from mailboxes.contract import MAX_BODY_BYTES, MAX_DISCARDED_BYTES, is_machine_path
from mailboxes.monitoring import logs


class Refusals:
    """Middleware that answers requests that the server has refused.

    Programs get the API's envelope, and browsers a page.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if REFUSAL not in request.META:
            return self.get_response(request)
        status, message = request.META[REFUSAL]
        is_busy = status == 503
        logs.refusal.set("busy" if is_busy else "malformed")
        if contract.is_machine_path(request.path_info):
            code = {413: "too_large", 503: "unavailable"}.get(status, "invalid")
            errors = {"non_field_errors": [{"code": code, "message": message}]}
            response = JsonResponse(contract.envelope(status, errors=errors), status=status)
        else:  # rendered without the request, because its user is unknown here
            context = {"status": status, "message": message}
            response = render(None, "refused.html", context, status=status)
        # The server must not read the rest of this request as the next one.
        response["Connection"] = "close"
        if is_busy:
            response["Retry-After"] = str(contract.RETRY_SECONDS)
        return response


# Keys in a request's environ: the status and message of its answer if the server refuses it; True
# if the body has not been read yet (see Limits.needs_permission); and a dict in which the
# application keeps, until the body has been read, what it need not do again.
REFUSAL = "mailboxes.refused"
BODY_UNREAD = "mailboxes.body_unread"
KEPT = "mailboxes.kept"

MAX_SIGN_IN_BYTES = 64 * 1024
MAX_UPLOAD_BYTES = 33 * 1024 * 1024  # a CSV file of 32 MiB, and the form around it
MAX_FORM_BYTES = 64 * 1024  # around a recording
# The paths that take recordings, with the most bytes of one. JSON has it in base64.
SOUND_FORMS = re.compile(
    rf"/accounts/{validators.ACCOUNT_NAME_TEXT}/greetings/(?:new|{contract.UUID_TEXT}/replace)/\Z"
)
UPLOADS = {
    contract.MESSAGES_PATH: contract.MAX_RECORDING_BYTES,
    contract.SOUNDS_PATH: contract.MAX_RECORDING_BYTES * 4 // 3,
    SOUND_FORMS: contract.MAX_RECORDING_BYTES,
}
MEMORY_BYTES = 1024 * 1024  # longer bodies go to an unnamed file
# Open files in a process (config/server.py reserves descriptors for them). Above the limit, a
# request is refused, and an answer stays in memory.
MAX_REQUEST_FILES = 32
MAX_ANSWER_FILES = 64
READ_BYTES = 256 * 1024  # of a file at a time

RECORDING_TOO_LARGE = f"The recording is larger than {contract.MAX_RECORDING_BYTES // 1024**2} MiB."
# The answer to a body that is encoded.
UNENCODED = "Send the body without compression, and without Content-Encoding."

# The parameters of a Content-Type, except the boundary of multipart forms.
PARAMETERS = re.compile(r";(?!\s*boundary=)[^;]*", re.IGNORECASE)


class TooManyFilesError(Exception):
    """The limit of open files is reached."""


class LongBody(tempfile.SpooledTemporaryFile):
    """A body in memory, or in a file if it is long. Raises TooManyFilesError."""

    def __init__(self, open_files: WeakSet, max_files: int):
        super().__init__(MEMORY_BYTES)
        self.open_files, self.max_files = open_files, max_files

    def rollover(self):
        if len(self.open_files) >= self.max_files:
            raise TooManyFilesError
        self.open_files.add(self)
        super().rollover()

    def close(self):
        self.open_files.discard(self)
        super().close()


request_files: WeakSet = WeakSet()
answer_files: WeakSet = WeakSet()


def move_to_file(first: bytes, others: Iterable[bytes]) -> tuple[Iterator[bytes], LongBody]:
    """Write an answer to a file. Return an iterator over its pieces, and the file to close."""
    file = LongBody(answer_files, MAX_ANSWER_FILES)
    file.rollover()
    file.write(first)
    file.writelines(others)
    file.seek(0)
    return iter(partial(file.read, READ_BYTES), b""), file


def write_answer(pieces: Iterable[bytes]) -> LongBody:
    """Return a file with a complete answer, at its start. Raises TooManyFilesError."""
    file = LongBody(answer_files, MAX_ANSWER_FILES)
    try:
        for piece in pieces:
            file.write(piece)
    except Exception:
        file.close()
        raise
    file.seek(0)
    return file


class Limits(NamedTuple):
    """Limits of a request's body, in bytes and seconds. Bytes above `max_kept` are discarded."""

    max_kept: int
    max_read: int
    seconds: int
    refusal: str = ""  # of a body above `max_kept`; if empty, the application refuses it
    needs_permission: bool = False  # the application decides before the body is read

    def create_file(self) -> IO[bytes]:
        """Return an empty file for the body, which stays in memory unless it becomes long."""
        if self.max_kept > MEMORY_BYTES + 1:
            return LongBody(request_files, MAX_REQUEST_FILES)
        return BytesIO()


def get_body_limits(path: str) -> Limits:
    """Return the limits of a body sent to this path.

    The wire contract: a body over 1 MiB is 413 "and the answer reaches the caller: up to 16 MiB is
    read and thrown away first". A server that answers without reading resets the connection.

    Anybody may send a body to a page, so only those of permitted uploads are written to a file.
    """
    seconds = settings.REQUEST_TIMEOUT
    for pattern, size in UPLOADS.items():
        if pattern.match(path):
            return Limits(
                size + MAX_FORM_BYTES,
                size + MAX_FORM_BYTES + MAX_DISCARDED_BYTES,
                settings.UPLOAD_TIMEOUT,
                RECORDING_TOO_LARGE,
                needs_permission=True,
            )
    if is_machine_path(path):
        # One byte more than the application accepts, so that it notices a larger body.
        return Limits(MAX_BODY_BYTES + 1, MAX_DISCARDED_BYTES, seconds)
    if path == reverse("console:import"):
        return Limits(
            MAX_UPLOAD_BYTES,
            MAX_UPLOAD_BYTES + MAX_DISCARDED_BYTES,
            settings.UPLOAD_TIMEOUT,
            "The file is larger than 32 MiB: split it.",
            needs_permission=True,
        )
    if path in (reverse("console:sign-in"), reverse("console:sign-in-code")):
        refusal = "The form is larger than 64 KiB: shorten what you entered."
        return Limits(MAX_SIGN_IN_BYTES, MAX_DISCARDED_BYTES, seconds, refusal)
    refusal = "The form is larger than 1 MiB: shorten what you entered."
    return Limits(MAX_BODY_BYTES, MAX_DISCARDED_BYTES, seconds, refusal)


def is_encoded(request) -> bool:
    """Return True if the request says that its body is compressed or otherwise encoded."""
    return request.headers.get("Content-Encoding", "identity").strip().lower() != "identity"


class AlwaysUTF8:
    """WSGI middleware that removes encodings from Content-Type: paths and bodies are UTF-8.

    Some of Python's encodings raise an exception or return no text. If the body or a parameter
    (RFC 8187) named one, Django would fail outside of our middleware: the request would have no
    line in the log, and its answer no security headers.
    """

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        if "CONTENT_TYPE" in environ:
            environ["CONTENT_TYPE"] = PARAMETERS.sub("", environ["CONTENT_TYPE"])
        return self.application(environ, start_response)
