"""A bridge from ASGI, which uvicorn speaks, to our WSGI application.

The event loop reads each request and sends its answer, so no thread waits for a caller. Ready-made
bridges do not serve: a2wsgi passes a broken-off body on as if it were whole, and takes twice the
time; asgiref runs all requests in one thread.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from config.environ import environ_of, has_body
from mailboxes.http.bodies import MEMORY_BYTES, REFUSAL, TooManyFilesError, get_body_limits, move_to_file

THREADS = 4  # of a process; each keeps a connection to the database
CHUNK_BYTES = 64 * 1024  # of an answer: more of it is made once the caller has taken these


class Bridge:
    """Read a request whole, run the WSGI application in a thread, send what it answers."""

    def __init__(self, wsgi_application):
        self.wsgi_application = wsgi_application
        self.threads = ThreadPoolExecutor(THREADS, "request")

    async def __call__(self, scope, receive, send):
        environ = environ_of(scope)
        if has_body(environ):
            try:
                await read_body(environ, receive)
            except TimeoutError:
                environ[REFUSAL] = 408, "The body did not arrive in time."
            except TooManyFilesError:
                environ[REFUSAL] = 503, "Too many large files arrive at once: try again later."
            except ConnectionError:
                return  # the body broke off: nobody waits for an answer
        with environ["wsgi.input"]:
            await self.answer(environ, send, receive)

    async def answer(self, environ, send, receive):
        """Send the answer to a whole request, each chunk once the caller has taken the one before."""
        head = {"type": "http.response.start"}

        def start_response(status, headers, exc_info=None):
            head["status"] = int(status[:3])
            head["headers"] = [(n.lower().encode(), v.encode("latin-1")) for n, v in headers]

        def begin():
            body = self.wsgi_application(environ, start_response)
            pieces = iter(body)
            chunk = read_chunk(pieces)
            with suppress(TooManyFilesError):
                if len(chunk) > MEMORY_BYTES:  # of slow callers, they would fill the memory
                    pieces, file = move_to_file(chunk, pieces)
                    close(body)
                    chunk, body = next(pieces), file
            if len(chunk) >= CHUNK_BYTES:
                return chunk, pieces, body
            close(body)
            if head["status"] not in (204, 304) and b"content-length" not in dict(head["headers"]):
                head["headers"].append((b"content-length", b"%d" % len(chunk)))
            return chunk, None, None

        run = asyncio.get_running_loop().run_in_executor
        chunk, pieces, body = await run(self.threads, begin)
        await send(head)
        if pieces is None:
            await send({"type": "http.response.body", "body": chunk})
            return
        gone = asyncio.create_task(wait_until_gone(receive))
        try:
            while chunk and not gone.done():
                for start in range(0, len(chunk), CHUNK_BYTES):
                    part = chunk[start : start + CHUNK_BYTES]
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                chunk = await run(self.threads, read_chunk, pieces)
            await send({"type": "http.response.body"})
        finally:
            gone.cancel()
            await run(self.threads, close, body)


async def read_body(environ, receive) -> None:
    """Read the body within its limits. Raises TimeoutError, and ConnectionError if it breaks off."""
    limits = get_body_limits(environ["PATH_INFO"])
    environ["wsgi.input"] = body = limits.create_file()
    kept, size, more = 0, 0, True
    async with asyncio.timeout(limits.seconds):
        while more and size < limits.max_read:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError
            size += len(message["body"])
            kept += body.write(message["body"][: limits.max_kept - kept])
            more = message["more_body"]
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(kept)
    body.seek(0)


def read_chunk(pieces) -> bytes:
    """Join the next pieces to CHUNK_BYTES or more, or fewer at the end."""
    chunk, size = [], 0
    for piece in pieces:
        chunk.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            break
    return b"".join(chunk)


def close(body) -> None:
    if hasattr(body, "close"):
        body.close()


async def wait_until_gone(receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
