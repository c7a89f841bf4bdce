"""The production server: uvicorn's settings, and limits that uvicorn lacks.

uvicorn does not limit the size of a request's head and the time to receive it, the time to send an
answer, and the number of connections.
"""

import logging
import resource
import time
from collections import deque

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

HEAD_SECONDS = 20  # to receive a request's head, from the start of the connection for the first
HEAD_BYTES = 32 * 1024
HEADERS = 100
PIPELINED = 100  # unanswered requests on one connection
DRAIN_SECONDS = 60  # for a client to read a full send buffer, about 64 KiB
KEEP_ALIVE_SECONDS = 75  # until an idle connection is closed
LINGER_SECONDS = 2  # for a request on its way over an idle connection when the server stops
STOP_SECONDS = 30  # to finish requests when the server stops
START_SECONDS = 30  # for a worker to start, or to answer its parent

# File descriptors for the database, bodies and files. Connections get the others.
RESERVED_FILES = 150
MAX_CONNECTIONS = max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED_FILES, 10)

log = logging.getLogger("mailboxes")


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which also closes connections that are too slow or too many.

    uvicorn calls `shutdown` when it stops. Idle connections then stay open for LINGER_SECONDS, and
    each answer announces that the connection closes, so that no request on its way is lost.
    """

    head_timer = drain_timer = None
    head_bytes = header_count = 0
    unparsed_bytes = 0  # since the parser last called back
    has_open_head = is_stopping = False
    warned_at = 0.0

    def connection_made(self, transport):
        super().connection_made(transport)
        self.unanswered = deque()  # requests whose head is complete, oldest first
        self.head_timer = self.loop.call_later(HEAD_SECONDS, transport.abort)
        if self.client is None:  # already reset, so the client's address is unknown
            transport.abort()
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            if time.monotonic() > Protocol.warned_at + 1:
                Protocol.warned_at = time.monotonic()
                log.warning(
                    "Connections are refused: there are %s, the most that `ulimit -n` allows.",
                    MAX_CONNECTIONS,
                )

    def connection_lost(self, exc):
        self.head_timer = cancel_timer(self.head_timer)
        self.drain_timer = cancel_timer(self.drain_timer)
        for cycle in self.unanswered:  # uvicorn only ends the newest
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data):
        self.unparsed_bytes += len(data)
        super().data_received(data)
        if self.head_timer is None and (self.has_open_head or not self.unanswered):
            self.head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
        if self.unparsed_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("A header or the size of a chunk is too long.")

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio allows it
        """Return True to answer complete requests of a client that has only ended its sending.

        The connection of one that has gone is closed when it is sent to.
        """
        newest = self.unanswered[-1] if self.unanswered else None
        if newest is None or newest.more_body or self.has_open_head:
            return False
        newest.keep_alive = False
        return True

    def send_400_response(self, msg):
        """Answer earlier requests, then close. A 400 could be taken for the answer to one of them."""
        newest = self.unanswered[-1] if self.unanswered else None
        if newest and not newest.more_body:
            newest.keep_alive = False
            self.flow.pause_reading()
        elif newest and (len(self.unanswered) > 1 or newest.response_started):
            self.transport.abort()
        else:
            super().send_400_response(msg)
            self.limit_drain()

    def on_message_begin(self):
        super().on_message_begin()
        self.has_open_head = True
        self.head_bytes = self.header_count = 0

    def on_url(self, url):
        super().on_url(url)
        self.count_head_bytes(len(url))

    def on_header(self, name, value):
        if not self.has_open_head:  # the application would see a trailer as a header
            raise ValueError("Trailers are not supported.")
        super().on_header(name, value)
        self.header_count += 1
        self.count_head_bytes(len(name) + len(value))

    def count_head_bytes(self, size):
        """Add to the size of the request's URL and headers.

        Raises ValueError, which the parser turns into a 400, over the limit.
        """
        self.unparsed_bytes = 0
        self.head_bytes += size
        if self.head_bytes > HEAD_BYTES or self.header_count > HEADERS:
            raise ValueError("The head of the request is too large.")

    def on_headers_complete(self):
        self.has_open_head = False
        self.head_timer = cancel_timer(self.head_timer)
        super().on_headers_complete()
        self.unanswered.append(self.cycle)
        if self.is_stopping or self.parser.should_upgrade():
            self.cycle.keep_alive = False
        if len(self.unanswered) > PIPELINED:
            self.transport.abort()
            raise ValueError("Too many unanswered requests on this connection.")

    def on_body(self, body):
        self.unparsed_bytes = 0
        super().on_body(body)

    def pause_writing(self):
        super().pause_writing()
        self.limit_drain()

    def resume_writing(self):
        self.drain_timer = cancel_timer(self.drain_timer)
        super().resume_writing()

    def on_response_complete(self):
        self.unanswered.popleft()
        super().on_response_complete()
        if self.transport.is_closing():
            self.limit_drain()

    def limit_drain(self):
        cancel_timer(self.drain_timer)
        self.drain_timer = self.loop.call_later(DRAIN_SECONDS, self.transport.abort)

    def timeout_keep_alive_handler(self):
        self.transport.abort()  # `close` would wait for a client that does not read

    def shutdown(self):
        self.is_stopping = True
        if not self.unanswered:
            self.loop.call_later(LINGER_SECONDS, super().shutdown)
        else:
            super().shutdown()


def cancel_timer(timer) -> None:
    if timer is not None:
        timer.cancel()


def serve(listener, workers: int, application="config.asgi:application") -> None:
    """Serve until SIGTERM or SIGINT. SIGHUP replaces the workers one by one."""
    config = Config(
        application,
        http=Protocol,
        ws="none",
        workers=workers,
        proxy_headers=False,  # TrustedProxies handles them
        server_header=False,
        access_log=False,  # RequestLog writes it
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_worker_healthcheck=START_SECONDS,
    )
    Multiprocess(config, sockets=[listener]).run()
