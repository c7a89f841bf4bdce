"""The server and the bridge, with an application that echoes requests."""

import socket
import sys
from contextlib import ExitStack, contextmanager, suppress

import pytest

from config.concurrency import ANSWERS_OF_CALLER, THREADS
from config.server import HEAD_BYTES, HEADERS, PIPELINED, RESERVED_FILES
from tests.config.caller import Caller
from tests.config.echo import PIECE
from tests.server import Server, until

START = """
import socket, sys
from config import server
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
server.serve(listener, 1, "tests.config.echo:application")
"""


class EchoServer(Server):
    """The server in one process, with the application in tests/config/echo.py."""

    def __init__(self, files=1024, **environment):
        super().__init__("sqlite://:memory:", **environment)
        self.files = files

    def command(self):
        limited = f'ulimit -n {self.files} && exec "$0" "$@"'
        return ["sh", "-c", limited, sys.executable, "-c", START, str(self.port)]

    def connect(self):
        return Caller(self.port)


@pytest.fixture(scope="module")
def echo():
    with EchoServer() as running:
        yield running


@pytest.fixture
def caller(echo):
    with echo.connect() as caller:
        yield caller


POST = ["POST / HTTP/1.1", "Host: localhost"]


# --- Headers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"", b"acme", b"\xfc\xff", b"a b\tc", b"x" * 8000, b'a,b;c="d"'])
def test_header_arrives_as_sent(caller, value):
    caller.get("/", b"X-Auth-For: " + value)
    assert caller.echoed_request()["HTTP_X_AUTH_FOR"].encode("latin-1") == value


@pytest.mark.parametrize(
    "line",
    [
        b"X-Auth-For: a\x00b",
        b"X-Auth-For: a\x7fb",
        b"X-Auth-For: a\rb",
        b"X-Auth-For:\r\n acme",
        b"X-Auth-For: acme\r\n\tglobex",
        b"X-Auth-For : acme",
        b"X Auth-For: acme",
        b": acme",
        b"X-Auth-For",
    ],
)
def test_malformed_header_is_refused(caller, line):
    caller.get("/", line)
    assert caller.status() == 400
    assert caller.is_closed()


@pytest.mark.parametrize("name", ["X-Auth-For", "X-Auth-Password", "Host", "Content-Type"])
def test_header_sent_twice_is_refused(caller, name):
    caller.get("/", f"{name}: localhost", f"{name}: localhost")
    assert caller.echoed_request()["malformed"] == [
        400,
        f"Send the header {name.lower()} once: it was sent twice.",
    ]


@pytest.mark.parametrize("name", ["X_Auth_For", "X-Auth_For", "x_forwarded_for", "Content_Length"])
def test_header_with_an_underscore_is_refused(caller, name):
    caller.get("/", f"{name}: 1")
    assert caller.echoed_request()["malformed"][0] == 400


def test_repeated_list_headers_are_joined(caller):
    lines = [
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-For: 192.0.2.2",
        "Cookie: a=1",
        "Cookie: b=2",
    ]
    caller.get("/", *lines)
    request = caller.echoed_request()
    assert request["HTTP_X_FORWARDED_FOR"] == "192.0.2.1, 192.0.2.2"
    assert request["HTTP_COOKIE"] == "a=1; b=2"


def test_path_and_query_arrive_as_bytes(caller):
    caller.send_request("GET /%FC/a%2Fb%20c?q=%FC HTTP/1.1", "Host: localhost")
    request = caller.echoed_request()
    assert request["PATH_INFO"].encode("latin-1") == b"/\xfc/a/b c"
    assert request["QUERY_STRING"] == "q=%FC"


# --- Limits of the head -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (f"X-Long: {'x' * (HEAD_BYTES - 200)}", 200),
        (f"X-Long: {'x' * HEAD_BYTES}", 400),
        ("\r\n".join(f"X-{number}: x" for number in range(HEADERS - 1)), 200),
        ("\r\n".join(f"X-{number}: x" for number in range(HEADERS)), 400),
    ],
)
def test_too_large_head_is_refused(caller, line, status):
    caller.get("/", line)
    assert caller.status() == status


CHUNKED = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "start",
    [
        *("GET /", "GET / HTTP/1.1\r\nX-Long: ", "GET / HTTP/1.1\r\nX"),
        *(f"{CHUNKED}2;", f"{CHUNKED}2\r\nhe\r\n0\r\nX-Trailer: "),
    ],
)
def test_head_or_chunk_without_an_end_is_refused(caller, start):
    caller.send(start)
    with suppress(ConnectionError):
        for _ in range(1000):
            caller.send("x" * 1024)
    assert caller.status() in (400, 0)  # 0: the answer is lost if the client is still sending


# --- Bodies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Content-Length: 5"], b"hello"),
        (["Transfer-Encoding: chunked"], b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"),
        (["Content-Length: 5", "Expect: 100-continue"], b"hello"),
    ],
)
def test_body_arrives_completely(caller, lines, body):
    caller.send_request(*POST, *lines, body=body)
    if "Expect: 100-continue" in lines:
        assert caller.head()[0] == 100
    request = caller.echoed_request()
    assert (request["body"], request["CONTENT_LENGTH"]) == ("hello", "5")


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Content-Length: 5", "Content-Length: 5"], b"hello"),
        (["Content-Length: 5", "Content-Length: 6"], b"hello!"),
        (["Content-Length: 5, 5"], b"hello"),
        (["Content-Length: +5"], b"hello"),
        (["Content-Length: -5"], b"hello"),
        (["Content-Length: 0x5"], b"hello"),
        (["Content-Length: 5", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], b"0\r\n\r\n"),
        (["Transfer-Encoding: identity"], b"hello"),
        (["Transfer-Encoding: xchunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"5\nhello\n0\n\n"),
        (["Transfer-Encoding: chunked"], b"-5\r\nhello\r\n0\r\n\r\n"),
        (["Transfer-Encoding: chunked"], b"5\r\nhello, world\r\n0\r\n\r\n"),
    ],
)
def test_body_with_an_ambiguous_end_is_refused(caller, tmp_path, lines, body):
    mark = tmp_path / "called"
    smuggled = f"GET / HTTP/1.1\r\nHost: localhost\r\nX-Mark: {mark}\r\n\r\n"
    caller.send_request(*POST, *lines, f"X-Mark: {mark}", body=body + smuggled.encode())
    assert caller.status() == 400
    assert caller.is_closed()
    assert not mark.exists()


def test_trailer_of_a_chunked_body_is_refused(caller, tmp_path):
    """Passed on as a header, it could forge a header of the caller or of a proxy."""
    mark = tmp_path / "called"
    body = f"2\r\nhe\r\n0\r\nX-Mark: {mark}\r\n\r\n"
    caller.send_request(*POST, "Transfer-Encoding: chunked", body=body.encode())
    assert (caller.status(), caller.is_closed()) == (400, True)
    assert not mark.exists()


@pytest.mark.parametrize("line", ["Content-Length: {}", "Transfer-Encoding: chunked"])
def test_body_of_an_upgrade_is_not_read_as_a_request(caller, tmp_path, line):
    """The parser ends an upgrade request after its head."""
    mark = tmp_path / "called"
    body = f"GET / HTTP/1.1\r\nHost: localhost\r\nX-Mark: {mark}\r\n\r\n".encode()
    caller.send_request(*POST, line.format(len(body)), "Connection: Upgrade", "Upgrade: h2c")
    caller.send(body)
    assert caller.echoed_request()["malformed"][0] == 400
    assert caller.is_closed()
    assert not mark.exists()


def test_upgrade_to_another_protocol_is_ignored(caller):
    caller.get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA")
    assert caller.echoed_request()["malformed"] is None
    assert caller.is_closed()


def test_request_with_bare_line_feeds_is_refused(caller):
    caller.send("GET / HTTP/1.1\nHost: localhost\n\n")
    assert (caller.status(), caller.is_closed()) == (400, True)


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("Content-Length: 50", b"hello"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked", b"50\r\nhello"),
    ],
)
def test_incomplete_body_is_not_passed_to_the_application(caller, tmp_path, line, body):
    mark = tmp_path / "called"
    caller.send_request(*POST, line, f"X-Mark: {mark}", body=body)
    caller.socket.shutdown(socket.SHUT_WR)
    assert caller.is_closed()
    assert not mark.exists()


def test_body_that_arrives_too_late_is_refused():
    with EchoServer(REQUEST_TIMEOUT="1", UPLOAD_TIMEOUT="1") as echo, echo.connect() as caller:
        caller.send_request(*POST, "Content-Length: 50", body=b"hello")
        assert caller.echoed_request()["malformed"] == [408, "The body did not arrive in time."]


def test_pipelined_requests_are_answered_in_order(caller):
    for number in range(20):
        caller.send_request(*POST, "Content-Length: 2", body=b"%02d" % number)
    assert [caller.echoed_request()["body"] for _ in range(20)] == [f"{n:02}" for n in range(20)]


def test_client_that_ends_its_sending_gets_its_answers(echo, tmp_path):
    with echo.connect() as caller:
        caller.get("/large")
        caller.send_request(*POST, "Content-Length: 5", body=b"hello")
        caller.socket.shutdown(socket.SHUT_WR)
        assert len(caller.answer()[2]) == 160 * len(PIECE)
        assert caller.echoed_request()["body"] == "hello"
        assert caller.is_closed()
    with echo.connect() as caller:
        mark = tmp_path / "read"
        caller.send_request(*POST, f"X-Mark: {mark}", "Content-Length: 5", body=b"hel")
        caller.socket.shutdown(socket.SHUT_WR)
        assert caller.is_closed()
        assert not mark.exists()


@pytest.mark.parametrize("garbage", [b"x", b"\0", b"GET /\r\nX-Broken\r\n\r\n"])
def test_complete_request_is_answered_before_the_next_is_refused(caller, garbage):
    """An answer of 400 would mean that nothing was changed."""
    caller.send_request(*POST, "Content-Length: 5", body=b"hello" + garbage)
    assert caller.echoed_request()["body"] == "hello"
    assert caller.is_closed()


def test_too_many_pipelined_requests_are_refused(caller):
    caller.send(b"GET /plain HTTP/1.1\r\nHost: localhost\r\n\r\n" * (PIPELINED + 1))
    assert (caller.status(), caller.is_closed()) == (0, True)


def test_client_that_leaves_during_pipelined_requests_causes_no_error():
    with EchoServer() as echo:
        with echo.connect() as caller:
            caller.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
            caller.head()
        with echo.connect() as other_caller:
            other_caller.get("/plain")
            other_caller.status()
        assert "Traceback" not in echo.output()


# --- Answers --------------------------------------------------------------------------------------


def test_answer_without_content_length_gets_one(caller):
    caller.get("/plain")
    assert caller.answer()[2] == b"onetwo"


@pytest.mark.parametrize("path", ["/plain", "/file", "/large"])
def test_head_has_the_headers_of_get_and_no_body(caller, path):
    caller.get(path)
    _status, of_get, _body = caller.answer()
    caller.send_request(f"HEAD {path} HTTP/1.1", "Host: localhost")
    status, of_head = caller.head()
    assert (status, of_head["content-length"]) == (200, of_get["content-length"])
    caller.get("/plain")
    assert caller.answer()[2] == b"onetwo"


def test_answer_204_has_neither_body_nor_length(caller):
    caller.get("/empty")
    status, headers = caller.head()
    assert status == 204
    assert not {"content-length", "transfer-encoding"} & headers.keys()
    caller.get("/plain")
    assert caller.status() == 200


def test_file_answer_is_sent_completely(caller):
    caller.get("/file")
    assert caller.answer()[2] == PIECE * 20


def test_exception_is_500_and_the_server_keeps_running(echo, caller):
    caller.get("/fail")
    assert caller.status() == 500
    with echo.connect() as other_caller:
        other_caller.get("/plain")
        assert other_caller.status() == 200


def test_interrupted_chunked_answer_gets_no_final_chunk(caller):
    caller.get("/break-off")
    assert caller.head()[0] == 200
    assert not caller.stream.read().endswith(b"0\r\n\r\n")


def test_streamed_answer_is_closed_when_the_client_leaves(caller, tmp_path):
    mark = tmp_path / "closed"
    caller.get("/endless", f"X-Mark: {mark}")
    assert caller.head()[0] == 200
    caller.__exit__()
    until(mark.exists)


@contextmanager
def open_connections(server, count):
    with ExitStack() as stack:
        yield [stack.enter_context(server.connect()) for _ in range(count)]


@pytest.mark.parametrize("path", ["large", "endless"])
def test_clients_that_do_not_read_block_no_thread(echo, tmp_path, path):
    with open_connections(echo, 2 * THREADS) as clients, echo.connect() as other_caller:
        for caller in clients:
            caller.get(f"/{path}", f"X-Mark: {tmp_path}/closed")
            caller.head()
        other_caller.get("/plain")
        assert other_caller.status() == 200


def test_caller_who_does_not_read_long_answers_gets_no_more_but_others_do():
    own, others = "X-Auth-Password: mbx_1", "X-Auth-Password: mbx_2"
    with EchoServer(DATABASE_TIMEOUT="1") as server, server.connect() as reader:
        with open_connections(server, ANSWERS_OF_CALLER) as clients:
            for client in clients:
                client.get("/voip/large", own)
                client.head()
            reader.get("/voip/plain", own)
            assert reader.status() == 503
            reader.get("/voip/large", others)
            assert reader.status() == 200
        reader.get("/voip/plain", own)
        assert reader.status() == 200


# --- Connections ----------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("sent", ["", "\r\n", "GET / HT", "GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_connection_without_a_request_is_closed(caller, sent):
    caller.send(sent)
    assert caller.is_closed()


def test_reset_connection_causes_no_error():
    with EchoServer() as echo:
        for _ in range(100):
            with echo.connect() as caller:
                caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                caller.get("/plain")
        assert is_answering(echo)
        assert "Traceback" not in echo.output()


@pytest.mark.long
def test_too_many_connections_are_refused_and_logged_until_some_are_closed():
    with EchoServer(files=RESERVED_FILES + 60) as echo:
        with open_connections(echo, 200) as clients:
            closed = [caller for caller in clients if is_closed_at_once(caller)]
            assert 100 <= len(closed) < 200
            until(lambda: "Connections are refused: there are 60" in echo.output())
        until(lambda: is_answering(echo))


def is_closed_at_once(caller) -> bool:
    caller.socket.settimeout(0.05)
    try:
        return caller.socket.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def is_answering(echo) -> bool:
    with suppress(OSError), echo.connect() as caller:
        caller.get("/plain")
        return caller.status() == 200
    return False


def test_request_on_an_idle_connection_is_answered_while_the_server_stops():
    with EchoServer() as echo, echo.connect() as caller, echo.connect() as fresh:
        caller.get("/plain")
        assert caller.status() == 200
        fresh.send("GET /pl")
        echo.process.terminate()
        until(lambda: "Shutting down" in echo.output())
        caller.get("/plain")
        fresh.send("ain HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for connection in (caller, fresh):
            status, headers, _body = connection.answer()
            assert (status, headers["connection"], connection.is_closed()) == (200, "close", True)
        assert echo.process.wait(timeout=60) == 0
