"""Slow and silent callers hold up nobody: no thread waits for a caller, and each wait has an end."""

import resource
import socket
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass

import pytest

from config.server import HEAD_SECONDS, RESERVED_FILES
from mailboxes.http.bodies import MAX_REQUEST_FILES
from mailboxes.models import EmailRecipient, Mailbox
from tests.conftest import headers_for
from tests.guarantees.conftest import FULL
from tests.security.browser import Browser, superuser
from tests.server import Server, until
from tests.service import OverSocket

pytestmark = pytest.mark.django_db(transaction=True)

PAUSE = 0.25  # seconds between two steps of a slow caller
GET = b"GET /authenticated HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /voip/mailbox HTTP/1.1\r\nHost: localhost\r\n"


@dataclass
class Slow:
    """Callers of one kind: what each sends first, what it sends at each step, or how much it reads."""

    kind: str
    count: int
    starts: list[bytes]
    step: bytes = b"1"
    reads: int = 0


KINDS = [
    Slow(
        "callers who send a byte of a head or of a short body each quarter of a second",
        400,
        [GET + b"X-Slow: ", POST + b"Content-Length: 9000\r\n\r\n"],
    ),
    Slow(
        "callers with long bodies, a byte each quarter of a second",
        24,
        [POST + b"Content-Length: 900000\r\n\r\n" + b"x" * 65536],
    ),
    Slow(
        "bodies at 9 kB a second",
        50,
        [POST + b"Content-Length: 16000000\r\n\r\n"],
        step=b"x" * 2250,
    ),
    Slow(
        "callers who expect 100-continue and send a byte each quarter of a second",
        50,
        [POST + b"Content-Length: 9000\r\nExpect: 100-continue\r\n\r\n"],
    ),
    Slow("heads without an end", 50, [GET], step=b"X-Slow: x\r\n"),
    Slow(
        "bodies in chunks of a byte",
        50,
        [POST + b"Transfer-Encoding: chunked\r\n\r\n"],
        step=b"1\r\nx\r\n",
    ),
    Slow("slow readers of an export", 50, [], step=b"", reads=4096),
]


class SlowCallers(threading.Thread):
    """Callers of one kind, who take their steps until they are left. One who is closed comes back."""

    def __init__(self, port, slow: Slow, count):
        super().__init__(daemon=True)
        self.address, self.slow = ("127.0.0.1", port), slow
        self.done = threading.Event()
        self.connections = [self.connect(number) for number in range(count)]

    def connect(self, number):
        connection = socket.socket()
        if self.slow.reads:  # little of an answer is kept on the way
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
            for connection in self.connections:
                assert connection.recv(12) == b"HTTP/1.1 200"
        self.start()
        return self

    def __exit__(self, *error):
        self.done.set()
        self.join()
        for connection in self.connections:
            connection.close()


def call(server, headers, calls, pause=0.0) -> tuple[int, float]:
    """Make calls, each on a connection of its own. Return how many failed, and the slowest's seconds."""
    failed, slowest = 0, 0.0
    for _ in range(calls):
        start = time.monotonic()
        with closing(OverSocket(headers, server.port)) as caller:
            failed += caller.get("/authenticated").status != 200
        slowest = max(slowest, time.monotonic() - start)
        time.sleep(pause)
    return failed, slowest


def export_request(server, account, recipients) -> bytes:
    """Fill the account, and return the request of a member of staff for a large export."""
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
    superuser("rosa")
    with Browser(server.port) as browser:
        assert browser.sign_in().status == 302
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    lines = [
        "POST /export/?all=on HTTP/1.1",
        "Host: localhost",
        f"Cookie: {cookies}",
        f"X-CSRFToken: {browser.cookies['csrftoken']}",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Length: 11",
        "Referer: https://localhost/export/",
    ]
    return ("\r\n".join(lines) + "\r\n\r\ndelimiter=,").encode()


@pytest.mark.parametrize("slow", KINDS, ids=[slow.kind for slow in KINDS])
def test_slow_callers_hold_up_nobody(server, account, size, promise, slow):
    calls, count = size(20, 1000), size(slow.count // 10, slow.count)
    headers = headers_for(account)
    if slow.reads:
        slow.starts = [export_request(server, account, size(4_000, 120_000))]
    _failed, usual = call(server, headers, calls)
    with SlowCallers(server.port, slow, count):
        failed, slowest = call(server, headers, calls, pause=0.06)
    late = size(0, slowest > usual + 1)
    promise(
        "Slow callers hold up nobody",
        f"{calls:,} calls beside {count} {slow.kind}; the slowest took {slowest:.2f} s, "
        f"without them {usual:.2f} s",
        failed + late,
    )


@contextmanager
def connections(server, count):
    """Open so many connections, and send nothing."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    with ExitStack() as stack:
        address = ("127.0.0.1", server.port)
        yield [stack.enter_context(socket.create_connection(address, 60)) for _ in range(count)]
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_silent_connections_shut_nobody_out(server, account, size, promise):
    calls, count = size(20, 1000), size(200, 3000)
    with connections(server, count) as silent:
        start = time.monotonic()
        failed, slowest = call(server, headers_for(account), calls)
        tried = f"{calls:,} calls beside {count:,} connections; the slowest took {slowest:.2f} s"
        promise("Silent connections shut nobody out", tried, failed)
        if FULL:
            assert {connection.recv(1) for connection in silent} == {b""}
            assert HEAD_SECONDS - 5 < time.monotonic() - start < HEAD_SECONDS + 5


class FewFiles(Server):
    """The server in one process, on a system that allows it few open files."""

    files = 256

    def __init__(self, database_url):
        super().__init__(database_url, WEB_CONCURRENCY="1")

    def command(self):
        limited = f'ulimit -n {self.files} && exec "$0" "$@"'
        return ["sh", "-c", limited, *super().command()]


@pytest.fixture
def few_files(tmp_path):
    with FewFiles(f"sqlite:///{tmp_path}/mailboxes.sqlite3") as server:
        server.headers = server.prepare()
        yield server


def test_service_out_of_connections_says_so_and_recovers(few_files):
    most = few_files.files - RESERVED_FILES
    with connections(few_files, 300) as silent:
        until(lambda: f"Connections are refused: there are {most}" in few_files.output())
        until(lambda: sum(map(is_open, silent)) == most)
        admitted = [connection for connection in silent if is_open(connection)]
        for connection in admitted:
            connection.sendall(request("GET /voip/mailbox", few_files.headers))
        assert {connection.recv(12) for connection in admitted} == {b"HTTP/1.1 200"}
    until(lambda: is_created(few_files))
    assert "Too many open files" not in few_files.output()


def test_long_bodies_leave_files_to_the_service(few_files):
    """Anybody may begin to send one."""
    start = request("POST /import/", {}, "Content-Length: 3000000")
    with connections(few_files, 100) as uploads:
        for connection in uploads:
            connection.sendall(start)
            with suppress(ConnectionError):  # refused meanwhile
                connection.sendall(b"x" * 1_200_000)
        until(lambda: few_files.output().count("POST /import/ 503 ") == 100 - MAX_REQUEST_FILES)
        assert is_created(few_files)
    assert "Too many open files" not in few_files.output()


def is_open(connection) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    finally:
        connection.settimeout(60)


def request(start, headers, *lines) -> bytes:
    fields = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"{start} HTTP/1.1", "Host: localhost", *fields, *lines, "", ""]).encode()


def is_created(server) -> bool:
    """Return True if a new caller's new mailbox is created."""
    with suppress(OSError), closing(OverSocket(server.headers, server.port)) as caller:
        return caller.post("/voip/mailbox", {"name": "Sales"}).status == 201
    return False
