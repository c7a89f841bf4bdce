"""The production server: uvicorn's settings, and the limits that it leaves to its protocol class.

uvicorn limits neither the size nor the time of a request's head, nor the time in which a caller
takes an answer, nor the number of connections.
"""

import logging
import resource
import time
from collections import deque

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

HEAD_SECONDS = 20  # for the head of a request, and for a new connection's first
HEAD_BYTES = 32 * 1024
HEADERS = 100
PIPELINED = 100  # requests without an answer on one connection
DRAIN_SECONDS = 60  # for a caller to take what is in the buffer, 64 KiB or so
KEEP_ALIVE_SECONDS = 75  # until an idle connection is closed
LINGER_SECONDS = 2  # for a request on its way, on an idle connection, when the server stops
STOP_SECONDS = 30  # for the requests that have begun when the server stops
START_SECONDS = 30  # for a worker to load the service, or to answer its parent

# File descriptors are kept for the database, bodies and files: connections get the others.
RESERVED_FILES = 150
MAX_CONNECTIONS = max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED_FILES, 10)

log = logging.getLogger("mailboxes")


class Protocol(HttpToolsProtocol):
    """Close connections that are too slow or too many.

    uvicorn calls `shutdown` when it stops. An idle connection is then kept for LINGER_SECONDS, and
    each answer says that the connection closes, so that no request on its way is lost.
    """

    head_timer = drain_timer = None
    head_bytes = header_count = 0
    unparsed_bytes = 0  # since the parser last reported a part of a request
    has_open_head = is_stopping = False
    warned_at = 0.0

    def connection_made(self, transport):
        super().connection_made(transport)
        self.unanswered = deque()  # requests whose head is complete, oldest first
        self.head_timer = self.loop.call_later(HEAD_SECONDS, transport.abort)
        if self.client is None:  # reset already, so nobody knows from where a request came
            transport.abort()
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            if time.monotonic() > Protocol.warned_at + 1:
                Protocol.warned_at = time.monotonic()
                log.warning(
                    "Connections are refused: there are %s, as `ulimit -n` allows.", MAX_CONNECTIONS
                )

    def connection_lost(self, exc):
        self.head_timer = cancel(self.head_timer)
        self.drain_timer = cancel(self.drain_timer)
        for cycle in self.unanswered:  # uvicorn ends the newest alone
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data):
        self.unparsed_bytes += len(data)
        super().data_received(data)
        if self.head_timer is None and (self.has_open_head or not self.unanswered):
            self.head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
        if self.unparsed_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("A header or a chunk's size has no end.")

    def send_400_response(self, msg):
        """Refuse what arrived, once the whole requests before it are answered, and close.

        A 400 must not be taken for the answer to one of them.
        """
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
        self.count(len(url))

    def on_header(self, name, value):
        if not self.has_open_head:  # it would reach the application as a header
            raise ValueError("Trailers are not taken.")
        super().on_header(name, value)
        self.header_count += 1
        self.count(len(name) + len(value))

    def count(self, size):
        """Count what is parsed of a head. The parser makes an error of it a 400."""
        self.unparsed_bytes = 0
        self.head_bytes += size
        if self.head_bytes > HEAD_BYTES or self.header_count > HEADERS:
            raise ValueError("The head of the request is too large.")

    def on_headers_complete(self):
        self.has_open_head = False
        self.head_timer = cancel(self.head_timer)
        super().on_headers_complete()
        self.unanswered.append(self.cycle)
        if self.is_stopping or self.parser.should_upgrade():
            self.cycle.keep_alive = False
        if len(self.unanswered) > PIPELINED:
            self.transport.abort()
            raise ValueError("Too many requests wait on this connection.")

    def on_body(self, body):
        self.unparsed_bytes = 0
        super().on_body(body)

    def pause_writing(self):
        super().pause_writing()
        self.limit_drain()

    def resume_writing(self):
        self.drain_timer = cancel(self.drain_timer)
        super().resume_writing()

    def on_response_complete(self):
        self.unanswered.popleft()
        super().on_response_complete()
        if self.transport.is_closing():
            self.limit_drain()

    def limit_drain(self):
        cancel(self.drain_timer)
        self.drain_timer = self.loop.call_later(DRAIN_SECONDS, self.transport.abort)

    def timeout_keep_alive_handler(self):
        self.transport.abort()  # `close` would wait for a caller who does not read

    def shutdown(self):
        self.is_stopping = True
        if not self.unanswered:
            self.loop.call_later(LINGER_SECONDS, super().shutdown)
        else:
            super().shutdown()


def cancel(timer) -> None:
    if timer is not None:
        timer.cancel()


def serve(listener, workers: int, application="config.asgi:application") -> None:
    """Serve on the listening socket until SIGTERM or SIGINT. SIGHUP replaces the workers one by one."""
    config = Config(
        application,
        http=Protocol,
        ws="none",
        workers=workers,
        proxy_headers=False,  # TRUSTED_PROXIES says whose word is taken
        server_header=False,
        access_log=False,  # each request has its line from RequestLog
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_worker_healthcheck=START_SECONDS,
    )
    Multiprocess(config, sockets=[listener]).run()
