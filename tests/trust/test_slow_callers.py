"""Callers who send a byte now and then hold up nobody else: a thread is for whole requests."""

import socket
import threading
from contextlib import closing

import pytest

from tests.conftest import headers_for
from tests.service import OverSocket

pytestmark = pytest.mark.django_db(transaction=True)

STARTS = {
    "the head": b"GET /authenticated HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "a short body": b"POST /voip/mailbox HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n",
}
# Read by threads: each is let go when its time is up, and then the others come.
READ_BY_THREADS = {
    "a long body": b"POST /voip/mailbox HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n"
    + b"x" * 65536,
    "a body without a length": b"POST /voip/mailbox HTTP/1.1\r\nHost: localhost\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n4000\r\n\r\n\r\n",
}


class SlowCallers(threading.Thread):
    """So many callers; each begins a request, and then sends a byte of it every quarter of a second."""

    def __init__(self, port, starts, count):
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
        for number, connection in enumerate(self.connections):
            connection.sendall(starts[number % len(starts)])

    def run(self):
        while not self.done.wait(0.25):
            for connection in self.connections:
                self.send_on(connection)

    @staticmethod
    def send_on(connection):
        try:
            connection.send(b"1")
        except OSError:
            connection.close()  # let go: what is sent then is refused, too

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.done.set()
        self.join()
        for connection in self.connections:
            connection.close()


def refused(server, account, starts, slow, calls):
    """How many of the calls were not answered while so many slow callers were at it."""
    headers = headers_for(account)
    with (
        SlowCallers(server.port, starts, slow),
        closing(OverSocket(headers, server.port)) as caller,
    ):
        caller.connection.timeout = 300
        return sum(caller.get("/authenticated").status != 200 for _ in range(calls))


def test_nobody_waits_for_them(server, account, size, promise):
    slow, calls = size(40, 400), size(20, 2000)
    promise(
        "Slow callers hold up nobody",
        f"{calls:,} calls beside {slow} callers who send a byte each quarter of a second",
        refused(server, account, [*STARTS.values()], slow, calls),
    )


def test_those_with_long_bodies_are_let_go(server, account, size, promise):
    """Three for each thread: minutes, of which `make test` has none to spare."""
    slow = size(2, 24)
    promise(
        "Slow callers with long bodies are let go",
        f"{slow} of them at 8 threads, and a call after them",
        refused(server, account, [*READ_BY_THREADS.values()], slow, 1),
    )
