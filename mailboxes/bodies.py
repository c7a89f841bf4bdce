"""Request bodies, made such that Django can take them. Plain WSGI; imports only the contract."""

import io
import re

from mailboxes.contract import MAX_BODY_BYTES, MAX_DISCARDED_BYTES, is_program_path

CHUNK_BYTES = 64 * 1024

# Of a Content-Type: all of its parameters but the one that parts of a form are told by.
NEEDLESS = re.compile(r";(?!\s*boundary=)[^;]*", re.IGNORECASE)


class BrokenOff(io.RawIOBase):
    """A body that the caller did not finish. Reading it raises OSError, from which Django knows."""

    def read(self, size=-1, /):
        raise OSError("The body broke off.")

    readline = read


class AlwaysUTF8:
    """WSGI middleware: addresses and bodies are UTF-8, whatever encoding the caller names.

    Python has encodings that raise or give no text. Where one is named, be it of the body or of a
    word in the header itself (RFC 8187), Django fails while it makes the request, or while it
    shows the page that refuses the form: the call is in no log, and its answer lacks every header.
    """

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        if "CONTENT_TYPE" in environ:
            environ["CONTENT_TYPE"] = NEEDLESS.sub("", environ["CONTENT_TYPE"])
        return self.application(environ, start_response)


class BufferedBodies:
    """WSGI middleware: gives a body without a length one, and keeps no more of any than it takes to refuse it.

    The contract: a body over 1 MiB is 413 "and the answer reaches the caller: up to
    16 MiB is read and thrown away first, and a body without a length is counted while
    read". A server that answers before it has read the body resets the connection, and
    Django takes a body without a length for an empty one.
    """

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        if is_program_path(environ.get("PATH_INFO", "")):
            try:
                body = self.read(environ)
            except OSError:
                environ["wsgi.input"], environ["CONTENT_LENGTH"] = BrokenOff(), "1"
            else:
                environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        return self.application(environ, start_response)

    @staticmethod
    def read(environ) -> bytes:
        """The body, cut one byte past the limit: enough for Django to refuse it. Raises OSError if it broke off."""
        has_length = "HTTP_TRANSFER_ENCODING" not in environ
        length = int(environ.get("CONTENT_LENGTH") or 0) if has_length else MAX_DISCARDED_BYTES
        left = min(length, MAX_DISCARDED_BYTES)
        kept = bytearray()
        while left > 0 and (chunk := environ["wsgi.input"].read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            kept += chunk[: MAX_BODY_BYTES + 1 - len(kept)]
        if has_length and left > 0:
            raise OSError("The body broke off.")
        return bytes(kept)
