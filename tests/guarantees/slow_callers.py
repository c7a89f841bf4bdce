"""Callers who send or read slowly, and the calls that they must not delay."""

import socket
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass

from config.concurrency import ANSWERS_OF_CALLER
from mailboxes.models import EmailRecipient, Mailbox
from tests.security.browser import Browser, create_superuser
from tests.service import OverSocket

PAUSE = 0.25  # seconds between two steps of a slow caller
GET = b"GET /authenticated HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /voip/mailbox HTTP/1.1\r\nHost: localhost\r\n"


@dataclass
class Slow:
    """A kind of slow caller: it sends one of `starts`, then `step` again and again, or reads."""

    kind: str
    count: int
    starts: list[bytes]
    step: bytes = b"1"
    reads: int = 0  # bytes at each step


KINDS = [
    Slow(
        "callers who send a byte of a head or of a short body each quarter of a second",
        400,
        [GET + b"X-Slow: ", POST + b"Content-Length: 9000\r\n\r\n"],
    ),
    Slow(
        "callers who send a byte of a long body each quarter of a second",
        24,
        [POST + b"Content-Length: 900000\r\n\r\n" + b"x" * 65536],
    ),
    Slow(
        "callers who send a body at 9 kB a second",
        50,
        [POST + b"Content-Length: 16000000\r\n\r\n"],
        step=b"x" * 2250,
    ),
    Slow(
        "callers who expect 100-continue and send a byte each quarter of a second",
        50,
        [POST + b"Content-Length: 9000\r\nExpect: 100-continue\r\n\r\n"],
    ),
    Slow("callers who send an endless head", 50, [GET], step=b"X-Slow: x\r\n"),
    Slow(
        "callers who send a body in chunks of a byte",
        50,
        [POST + b"Transfer-Encoding: chunked\r\n\r\n"],
        step=b"1\r\nx\r\n",
    ),
    # One user may have only so many unread answers.
    Slow("callers who read an export slowly", ANSWERS_OF_CALLER, [], step=b"", reads=4096),
]


class SlowCallers(threading.Thread):
    """Slow callers of one kind. Each opens a new connection when the server closes its own."""

    def __init__(self, port, slow: Slow, count):
        super().__init__(daemon=True)
        self.address, self.slow = ("127.0.0.1", port), slow
        self.done = threading.Event()
        self.connections = [self.connect(number) for number in range(count)]

    def connect(self, number):
        connection = socket.socket()
        if self.slow.reads:  # a small buffer, so that the answer stays at the server
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(self.address)
        with suppress(ConnectionError):
            connection.sendall(self.slow.starts[number % len(self.slow.starts)])
        return connection

    def take_step(self, connection) -> bool:
        """Return False if the server has closed the connection."""
        try:
            connection.send(self.slow.step)
            return (
                not self.slow.reads or connection.recv(self.slow.reads, socket.MSG_DONTWAIT) != b""
            )
        except BlockingIOError:
            return True
        except OSError:
            return False

    def run(self):
        while not self.done.wait(PAUSE):
            for number, connection in enumerate(self.connections):
                if not self.take_step(connection):
                    connection.close()
                    self.connections[number] = self.connect(number)

    def __enter__(self):
        if self.slow.reads:
            starts = {connection.recv(12) for connection in self.connections}
            if starts != {b"HTTP/1.1 200"}:
                self.close()
            assert starts == {b"HTTP/1.1 200"}
        self.start()
        return self

    def __exit__(self, *error):
        self.done.set()
        self.join()
        self.close()

    def close(self):
        for connection in self.connections:
            connection.close()


def make_calls(server, headers, calls, pause=0.0) -> tuple[int, float]:
    """Make calls, each on a new connection. Return how many failed, and the slowest's seconds."""
    failed, slowest = 0, 0.0
    for _ in range(calls):
        start = time.monotonic()
        with closing(OverSocket(headers, server.port)) as caller:
            failed += caller.get("/authenticated").status != 200
        slowest = max(slowest, time.monotonic() - start)
        time.sleep(pause)
    return failed, slowest


def create_export_request(server, account, recipients) -> bytes:
    """Fill the account, and return a staff user's request for its large export."""
    mailboxes = Mailbox.objects.bulk_create(
        Mailbox(account=account, name=f"Box {number}") for number in range(recipients // 40)
    )
    EmailRecipient.objects.bulk_create(
        (
            EmailRecipient(mailbox=mailbox, email=f"{'x' * 60}@{'y.' * 85}{number}.example")
            for mailbox in mailboxes
            for number in range(40)
        ),
        batch_size=1000,
    )
    create_superuser("rosa")
    with Browser(server.port) as browser:
        assert browser.sign_in().status == 302
    headers = {
        "Cookie": browser.join_cookies(),
        "X-CSRFToken": browser.cookies["csrftoken"],
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": "11",
        "Referer": "https://localhost/export/",
    }
    return build_request("POST /export/?all=on", headers) + b"delimiter=,"


def build_request(start, headers, *lines) -> bytes:
    """Return the head of a request that starts with this method and path."""
    fields = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"{start} HTTP/1.1", "Host: localhost", *fields, *lines, "", ""]).encode()
