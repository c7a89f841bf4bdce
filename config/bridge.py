"""A bridge from ASGI, which uvicorn speaks, to WSGI.

The event loop reads requests and sends answers, so that a slow client occupies no thread.
Existing bridges do not fit: a2wsgi passes on an incomplete body as if it were complete and takes
twice the time; asgiref runs all requests in one thread.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http import HTTPStatus
from typing import NamedTuple

from django.conf import settings

from config.concurrency import THREADS, BusyError, Slot, Slots
from config.environ import build_environ, has_body
from mailboxes.http.bodies import (
    BODY_UNREAD,
    KEPT,
    MEMORY_BYTES,
    REFUSAL,
    Limits,
    TooManyFilesError,
    get_body_limits,
    move_to_file,
)

CHUNK_BYTES = 64 * 1024  # of an answer, sent before the next are generated


class Answer(NamedTuple):
    """A response whose application has run. Without `pieces` it is complete in `chunk`."""

    status: int
    headers: list[tuple[bytes, bytes]]
    chunk: bytes
    pieces: Iterator[bytes] | None = None
    body: Iterable[bytes] | None = None  # to close at the end
    slot: Slot | None = None  # that counts it until the end


class Bridge:
    """Read a complete request, run the WSGI application in a thread, and send its answer."""

    def __init__(self, wsgi_application):
        self.wsgi_application = wsgi_application
        self.threads = ThreadPoolExecutor(THREADS, "request")
        self.slots = Slots()

    async def __call__(self, scope, receive, send):
        environ = build_environ(scope)
        refusal = None
        if has_body(environ):
            limits = get_body_limits(environ["PATH_INFO"])
            try:
                if limits.needs_permission:
                    environ[KEPT] = {}
                    refusal = await self.find_refusal(environ, receive, limits)
                if refusal is None:
                    await read_body(environ, receive, limits)
            except TimeoutError:
                environ[REFUSAL] = 408, "The body did not arrive in time."
            except TooManyFilesError:
                environ[REFUSAL] = 503, "Too many large requests at once: try again later."
            except ConnectionError:  # the client has disconnected
                environ["wsgi.input"].close()
                return
        with closing(environ["wsgi.input"]):
            await self.respond(refusal or await self.run(environ), send, receive)

    async def find_refusal(self, environ, receive, limits: Limits) -> Answer | None:
        """Return None if the application lets the body be read (100 Continue), or its answer.

        Raises ConnectionError if the client disconnects.
        """
        answer = await self.run(environ | {BODY_UNREAD: True})
        if answer.status == HTTPStatus.CONTINUE:
            return None
        answer.headers.append((b"connection", b"close"))
        if "HTTP_EXPECT" not in environ:  # the client sends the body without waiting
            await discard_body(receive, limits.max_read)
        return answer

    async def run(self, environ) -> Answer:
        """Run the application in a thread, when it has a slot, up to its first bytes."""
        head: list = []  # status and headers

        def start_response(status, headers, exc_info=None):
            head[:] = int(status[:3]), headers

        def begin():
            body = self.wsgi_application(environ, start_response)
            pieces = iter(body)
            chunk = read_chunk(pieces)
            status, headers = head
            headers = [(n.lower().encode(), v.encode("latin-1")) for n, v in headers]
            with suppress(TooManyFilesError):
                if len(chunk) > MEMORY_BYTES:  # answers to many slow clients would fill the memory
                    pieces, file = move_to_file(chunk, pieces)
                    close_body(body)
                    chunk, body = next(pieces), file
            if len(chunk) >= CHUNK_BYTES:
                return Answer(status, headers, chunk, pieces, body)
            close_body(body)
            if status not in (204, 304) and b"content-length" not in dict(headers):
                headers.append((b"content-length", b"%d" % len(chunk)))
            return Answer(status, headers, chunk)

        run = asyncio.get_running_loop().run_in_executor
        try:
            async with self.slots.get(environ) as slot:
                answer = await run(self.threads, begin)
                if answer.pieces is None or slot is None:
                    return answer
                slot.keep_answer()
                return answer._replace(slot=slot)
        except BusyError as error:
            environ[REFUSAL] = 503, str(error)
            return await run(self.threads, begin)

    async def respond(self, answer: Answer, send, receive) -> None:
        """Send the answer, as fast as the client reads it."""
        status, headers, chunk, pieces, body, slot = answer
        start = {"type": "http.response.start", "status": status, "headers": headers}
        if pieces is None:
            await send(start)
            await send({"type": "http.response.body", "body": chunk})
            return
        run = asyncio.get_running_loop().run_in_executor
        disconnected = asyncio.create_task(wait_for_disconnect(receive))
        try:
            await send(start)
            while chunk and not disconnected.done():
                for offset in range(0, len(chunk), CHUNK_BYTES):
                    part = chunk[offset : offset + CHUNK_BYTES]
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                chunk = await run(self.threads, read_chunk, pieces)
            await send({"type": "http.response.body"})
        finally:
            disconnected.cancel()
            if slot is not None:
                slot.end_answer()
            await run(self.threads, close_body, body)


async def read_body(environ, receive, limits: Limits) -> None:
    """Read the request's body into the environ, within the limits; refuse a larger one.

    Raises TimeoutError, TooManyFilesError, and ConnectionError if the client disconnects.
    """
    environ["wsgi.input"] = body = limits.create_file()
    kept_bytes = read_bytes = 0
    async with asyncio.timeout(limits.seconds):
        async for data in receive_body(receive, limits.max_read):
            read_bytes += len(data)
            kept_bytes += body.write(data[: limits.max_kept - kept_bytes])
    if read_bytes > limits.max_kept and limits.refusal:
        environ[REFUSAL] = 413, limits.refusal
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(kept_bytes)
    body.seek(0)


async def discard_body(receive, max_bytes: int) -> None:
    """Read a refused body for a while, so that a client that is still sending gets the answer.

    Raises ConnectionError if the client disconnects.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(settings.REQUEST_TIMEOUT):
            async for _ in receive_body(receive, max_bytes):
                pass


async def receive_body(receive, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the parts of a body until it ends or has so many bytes.

    Raises ConnectionError if the client disconnects.
    """
    read_bytes, more = 0, True
    while more and read_bytes < max_bytes:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        read_bytes += len(message["body"])
        more = message["more_body"]
        yield message["body"]


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
