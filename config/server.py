"""The production server: uvicorn's settings, and the limits that it leaves to its protocol class.

uvicorn limits neither the size nor the time of a request's head, nor the time in which a caller
takes an answer, nor the number of connections.
"""

import logging
import resource
import time

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

HEAD_SECONDS = 20  # for the head of a request, and for a new connection's first
HEAD_BYTES = 32 * 1024
HEADERS = 100
DRAIN_SECONDS = 60  # for a caller to take what is in the buffer, 64 KiB or so
KEEP_ALIVE_SECONDS = 75  # until an idle connection is closed
LINGER_SECONDS = 2  # for a request on its way, on an idle connection, when the server stops
STOP_SECONDS = 30  # for the requests that have begun when the server stops
START_SECONDS = 30  # for a worker to load the service, or to answer its parent

# File descriptors are kept for the database, bodies and files: connections get the others.
RESERVED_FILES = 100
MAX_CONNECTIONS = max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED_FILES, 10)

log = logging.getLogger("mailboxes")


class Protocol(HttpToolsProtocol):
    """Close connections that are too slow or too many.

    uvicorn calls `shutdown` when it stops. An idle connection is then kept for LINGER_SECONDS, and
    each answer says that the connection closes, so that no request on its way is lost.
    """

    head_timer = drain_timer = None
    head_bytes = unparsed_bytes = header_count = 0
    has_open_head = is_stopping = False
    warned_at = 0.0

    def connection_made(self, transport):
        super().connection_made(transport)
        self.head_timer = self.loop.call_later(HEAD_SECONDS, transport.abort)
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
        super().connection_lost(exc)

    def data_received(self, data):
        had_open_head = self.has_open_head
        super().data_received(data)
        is_idle = self.cycle is None or self.cycle.response_complete
        if self.head_timer is None and (self.has_open_head or is_idle):
            self.head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
        if had_open_head and self.has_open_head and not self.transport.is_closing():
            self.unparsed_bytes += len(data)  # of one header, perhaps, without an end
            if self.unparsed_bytes > HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self):
        super().on_message_begin()
        self.has_open_head = True
        self.head_bytes = self.unparsed_bytes = self.header_count = 0

    def on_url(self, url):
        super().on_url(url)
        self.count(len(url))

    def on_header(self, name, value):
        super().on_header(name, value)
        self.header_count += 1
        self.count(len(name) + len(value))

    def count(self, size):
        """Count what is parsed of a head. The parser makes an error of it a 400."""
        self.head_bytes += size
        if self.head_bytes > HEAD_BYTES or self.header_count > HEADERS:
            raise ValueError("The head of the request is too large.")

    def on_headers_complete(self):
        self.has_open_head = False
        self.head_timer = cancel(self.head_timer)
        super().on_headers_complete()
        if self.is_stopping:
            self.cycle.keep_alive = False

    def pause_writing(self):
        super().pause_writing()
        self.limit_drain()

    def resume_writing(self):
        self.drain_timer = cancel(self.drain_timer)
        super().resume_writing()

    def on_response_complete(self):
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
        if self.cycle is None or self.cycle.response_complete:
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
