"""Gunicorn's threaded worker, but that no caller holds a thread while its request is on the way.

Gunicorn gives a connection to a thread with its first byte, and the thread waits for the rest:
a few callers who send a byte every few seconds would hold them all. Here a thread comes once the
request is whole; until then what has arrived waits beside the poller. Long bodies, and those
whose length nobody tells, are read by a thread all the same, and must come fast enough.
"""

import errno
import io
import re
import socket
import time

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import _DEFER, ThreadWorker

AWAITED_BYTES = 64 * 1024  # of a request, without a thread
REQUEST_SECONDS = 20  # for a request to arrive in
BYTES_A_SECOND = 8 * 1024  # for a longer one, beyond that: a slow line has more

HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*\r\n", re.IGNORECASE)
NO_LENGTH = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
WAITS_FOR_US = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class Arriving(SocketUnreader):
    """What a caller has sent of its request, of which the parser reads."""

    def __init__(self, sock):
        super().__init__(sock)
        self.begin()

    def begin(self):
        """Another request: its time runs from its first byte."""
        self.first_at, self.count = None, len(self.buf.getvalue())

    def chunk(self, size_hint=None):
        """The next bytes. Raises ConnectionResetError, as if the caller had gone, where it is late."""
        if self.is_late():
            raise ConnectionResetError(errno.ECONNRESET, "The request came too slowly.")
        return self.counted(super().chunk(size_hint))

    def take(self) -> bool:
        """Take what is there by now, waiting for nothing. False where the caller has gone."""
        try:
            data = self.counted(self.sock.recv(AWAITED_BYTES, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        self.buf.seek(0, io.SEEK_END)
        self.buf.write(data)
        return bool(data)

    def counted(self, data) -> bytes:
        self.first_at = self.first_at or time.monotonic()
        self.count += len(data)
        return data

    def is_late(self) -> bool:
        if self.first_at is None:
            return False
        allowed = REQUEST_SECONDS + self.count / BYTES_A_SECOND
        return time.monotonic() - self.first_at > allowed

    def is_whole(self) -> bool:
        """Whether the parser can read the request at once, or as much of it as is awaited."""
        request = self.buf.getvalue().lstrip(b"\r\n")
        head, end, body = request.partition(HEAD_END)
        if len(request) >= AWAITED_BYTES:
            return True
        if not end:
            return False
        head += b"\r\n"
        if WAITS_FOR_US.search(head):
            return True
        if NO_LENGTH.search(head):
            return HEAD_END in body  # as the last chunk ends
        length = LENGTH.search(head)
        return not length or len(body) >= min(int(length[1]), AWAITED_BYTES - len(head))


class Worker(ThreadWorker):
    def handle(self, conn):
        """Handle a request, or put it off until there is more of it."""
        conn.init()
        arriving = conn.parser.unreader
        if not isinstance(arriving, Arriving):
            arriving = conn.parser.unreader = Arriving(conn.sock)
        try:
            is_there = arriving.take()
        except OSError:
            return False
        if self.alive and not arriving.is_whole():
            return _DEFER if is_there and not arriving.is_late() else False
        try:
            return super().handle(conn)
        finally:
            arriving.begin()

    def handle_quit(self, sig, frame):
        """Ctrl-C: answer what has begun, as at SIGTERM.

        Gunicorn's own stops the threads from within the signal's handler, and waits for ever
        where that came while a thread was being started.
        """
        self.handle_exit(sig, frame)
