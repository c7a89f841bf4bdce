"""A bridge from ASGI, which uvicorn speaks, to WSGI.

The event loop reads requests and sends answers, so that a slow client occupies no thread.
Existing bridges do not fit: a2wsgi passes on an incomplete body as if it were complete and takes
twice the time; asgiref runs all requests in one thread.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from config.environ import build_environ, has_body
from mailboxes.http.bodies import (
    MEMORY_BYTES,
    REFUSAL,
    TooManyFilesError,
    get_body_limits,
    move_to_file,
)

THREADS = 4  # in each process; each has its own database connection
CHUNK_BYTES = 64 * 1024  # of an answer, sent before the next are generated


class Bridge:
    """Read a complete request, run the WSGI application in a thread, and send its answer."""

    def __init__(self, wsgi_application):
        self.wsgi_application = wsgi_application
        self.threads = ThreadPoolExecutor(THREADS, "request")

    async def __call__(self, scope, receive, send):
        environ = build_environ(scope)
        if has_body(environ):
            try:
                await read_body(environ, receive)
            except TimeoutError:
                environ[REFUSAL] = 408, "The body did not arrive in time."
            except TooManyFilesError:
                environ[REFUSAL] = 503, "Too many large requests at once: try again later."
            except ConnectionError:
                return  # the client has disconnected
        with environ["wsgi.input"]:
            await self.respond(environ, send, receive)

    async def respond(self, environ, send, receive):
        """Run the application and send its answer, as fast as the client reads it."""
        head = {"type": "http.response.start"}

        def start_response(status, headers, exc_info=None):
            head["status"] = int(status[:3])
            head["headers"] = [(n.lower().encode(), v.encode("latin-1")) for n, v in headers]

        def begin_response():
            body = self.wsgi_application(environ, start_response)
            pieces = iter(body)
            chunk = read_chunk(pieces)
            with suppress(TooManyFilesError):
                if len(chunk) > MEMORY_BYTES:  # answers to many slow clients would fill the memory
                    pieces, file = move_to_file(chunk, pieces)
                    close_body(body)
                    chunk, body = next(pieces), file
            if len(chunk) >= CHUNK_BYTES:
                return chunk, pieces, body
            close_body(body)
            if head["status"] not in (204, 304) and b"content-length" not in dict(head["headers"]):
                head["headers"].append((b"content-length", b"%d" % len(chunk)))
            return chunk, None, None

        run = asyncio.get_running_loop().run_in_executor
        chunk, pieces, body = await run(self.threads, begin_response)
        await send(head)
        if pieces is None:
            await send({"type": "http.response.body", "body": chunk})
            return
        disconnected = asyncio.create_task(wait_for_disconnect(receive))
        try:
            while chunk and not disconnected.done():
                for start in range(0, len(chunk), CHUNK_BYTES):
                    part = chunk[start : start + CHUNK_BYTES]
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                chunk = await run(self.threads, read_chunk, pieces)
            await send({"type": "http.response.body"})
        finally:
            disconnected.cancel()
            await run(self.threads, close_body, body)


async def read_body(environ, receive) -> None:
    """Read the request's body into the environ, within the size and time limits of its path.

    Raises TimeoutError, TooManyFilesError, and ConnectionError if the client disconnects.
    """
    limits = get_body_limits(environ["PATH_INFO"])
    environ["wsgi.input"] = body = limits.create_file()
    kept_bytes, read_bytes, more = 0, 0, True
    async with asyncio.timeout(limits.seconds):
        while more and read_bytes < limits.max_read:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError
            read_bytes += len(message["body"])
            kept_bytes += body.write(message["body"][: limits.max_kept - kept_bytes])
            more = message["more_body"]
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(kept_bytes)
    body.seek(0)


def read_chunk(pieces) -> bytes:
    """Return the next pieces of an answer, joined to CHUNK_BYTES or more; fewer at the end."""
    chunk, size = [], 0
    for piece in pieces:
        chunk.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            break
    return b"".join(chunk)


def close_body(body) -> None:
    if hasattr(body, "close"):
        body.close()


async def wait_for_disconnect(receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
