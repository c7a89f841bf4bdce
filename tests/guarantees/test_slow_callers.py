"""Slow and silent callers delay no other call: no thread waits for them."""

import resource
import socket
import time
from contextlib import ExitStack, closing, contextmanager, suppress

import pytest

from config.server import HEAD_SECONDS, RESERVED_FILES
from mailboxes.http.bodies import MAX_REQUEST_FILES
from tests.conftest import headers_for
from tests.databases import default_database
from tests.guarantees.conftest import FULL
from tests.guarantees.slow_callers import (
    KINDS,
    SlowCallers,
    build_request,
    create_export_request,
    make_calls,
)
from tests.security.browser import Browser, create_superuser
from tests.server import PreparedServer, until
from tests.service import OverSocket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "slow",
    [
        pytest.param(slow, id=slow.kind, marks=pytest.mark.long if number else ())
        for number, slow in enumerate(KINDS)
    ],
)
def test_slow_callers_delay_no_other_call(server, account, size, promise, slow):
    calls, count = size(20, 1000), size(slow.count // 10, slow.count)
    headers = headers_for(account)
    if slow.reads:
        slow.starts = [create_export_request(server, account, size(4_000, 120_000))]
    _failed, usual = make_calls(server, headers, calls)
    with SlowCallers(server.port, slow, count):
        failed, slowest = make_calls(server, headers, calls, pause=0.06)
    late = size(0, slowest > usual + 1)
    promise(
        "Slow callers delay no other call",
        f"{calls:,} calls during {count} {slow.kind}; the slowest took {slowest:.2f} s, "
        f"without them {usual:.2f} s",
        failed + late,
    )


@contextmanager
def open_connections(server, count):
    """Open connections that send nothing."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    with ExitStack() as stack:
        address = ("127.0.0.1", server.port)
        yield [stack.enter_context(socket.create_connection(address, 60)) for _ in range(count)]
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.long
def test_silent_connections_delay_no_call(server, account, size, promise):
    calls, count = size(20, 1000), size(200, 3000)
    with open_connections(server, count) as silent:
        start = time.monotonic()
        failed, slowest = make_calls(server, headers_for(account), calls)
        tried = f"{calls:,} calls during {count:,} connections; the slowest took {slowest:.2f} s"
        promise("Silent connections delay no call", tried, failed)
        if FULL:
            assert {connection.recv(1) for connection in silent} == {b""}
            assert HEAD_SECONDS - 5 < time.monotonic() - start < HEAD_SECONDS + 5


class FewFiles(PreparedServer):
    """The server in one process that may open few files."""

    files = 256

    def __init__(self, database_url):
        super().__init__(database_url, WEB_CONCURRENCY="1")

    def command(self):
        limited = f'ulimit -n {self.files} && exec "$0" "$@"'
        return ["sh", "-c", limited, *super().command()]


@pytest.fixture
def few_files(tmp_path):
    with FewFiles(f"sqlite:///{tmp_path}/mailboxes.sqlite3") as server:
        yield server


@pytest.mark.long
def test_server_out_of_connections_logs_it_and_recovers(few_files):
    maximum = few_files.files - RESERVED_FILES
    with open_connections(few_files, 300) as silent:
        until(lambda: f"Connections are refused: there are {maximum}" in few_files.output())
        until(lambda: sum(map(is_open, silent)) == maximum)
        accepted = [connection for connection in silent if is_open(connection)]
        for connection in accepted:
            connection.sendall(build_request("GET /voip/mailbox", few_files.headers))
        assert {connection.recv(12) for connection in accepted} == {b"HTTP/1.1 200"}
    until(lambda: can_create_mailbox(few_files))
    assert "Too many open files" not in few_files.output()


@pytest.mark.long
def test_uploads_leave_file_descriptors_to_other_requests(few_files):
    with default_database(few_files.environment["DATABASE_URL"]):
        create_superuser("rosa")
    with Browser(few_files.port, scheme="http") as browser:
        assert browser.sign_in().status == 302
    cookie = f"Cookie: {browser.join_cookies()}"
    start = build_request("POST /import/", {}, cookie, "Content-Length: 3000000")
    with open_connections(few_files, 100) as uploads:
        for connection in uploads:
            connection.sendall(start)
            with suppress(ConnectionError):  # it may be refused already
                connection.sendall(b"x" * 1_200_000)
        until(lambda: few_files.output().count("POST /import/ 503 ") == 100 - MAX_REQUEST_FILES)
        assert can_create_mailbox(few_files)
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


def can_create_mailbox(server) -> bool:
    with suppress(OSError), closing(OverSocket(server.headers, server.port)) as caller:
        return caller.post("/voip/mailbox", {"name": "Sales"}).status == 201
    return False
