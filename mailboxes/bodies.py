"""Request bodies of API calls, read whole before Django sees them. Plain WSGI; imports only the contract."""

import io

from mailboxes.contract import MAX_BODY_BYTES, MAX_DISCARDED_BYTES, is_api_path

CHUNK_BYTES = 64 * 1024


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
        if is_api_path(environ.get("PATH_INFO", "")):
            body = self.read(environ)
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        return self.application(environ, start_response)

    @staticmethod
    def read(environ) -> bytes:
        """The body, cut one byte past the limit: enough for Django to refuse it."""
        left = MAX_DISCARDED_BYTES
        if not environ.get("HTTP_TRANSFER_ENCODING"):
            try:
                left = min(left, int(environ.get("CONTENT_LENGTH") or 0))
            except ValueError:
                left = 0
        kept = bytearray()
        while left > 0 and (chunk := environ["wsgi.input"].read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            kept += chunk[: MAX_BODY_BYTES + 1 - len(kept)]
        return bytes(kept)
