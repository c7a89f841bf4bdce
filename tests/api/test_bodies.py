"""Request bodies at the real server: too large, chunked, incomplete."""

import json
import socket

import pytest

from mailboxes.contract import MAX_BODY_BYTES
from mailboxes.models import Account, Mailbox
from tests.conftest import headers_for

pytestmark = pytest.mark.django_db(transaction=True)

MEBIBYTE = 1024 * 1024


@pytest.fixture
def request_head(server):
    """The start of a POST with valid credentials. Tests add more headers and a body."""
    headers = headers_for(Account.objects.create(name="acme"))
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(["POST /voip/mailbox HTTP/1.1", "Host: localhost", *lines, ""])


@pytest.fixture
def connection(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        yield connection


def read_answer(connection):
    """Return the status and the JSON body of one answer."""
    stream = connection.makefile("rb")
    status = int(stream.readline().split()[1])
    headers = dict(
        line.decode().strip().lower().split(": ", 1) for line in iter(stream.readline, b"\r\n")
    )
    return status, json.loads(stream.read(int(headers["content-length"])))


def send_chunked(connection, head, body, size=64 * 1024):
    connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
    for start in range(0, len(body), size):
        chunk = body[start : start + size]
        connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
    connection.sendall(b"0\r\n\r\n")


def make_body(size):
    """Return a valid mailbox as JSON of this many bytes."""
    start, end = b'{"name": "Sales", "note": "', b'"}'
    return start + b"x" * (size - len(start) - len(end)) + end


def test_largest_body_is_accepted(wire):
    assert wire.post("/voip/mailbox", make_body(MAX_BODY_BYTES)).status == 201


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 8 * MEBIBYTE, 15 * MEBIBYTE])
def test_too_large_body_is_413_and_the_answer_arrives(wire, size):
    answer = wire.post("/voip/mailbox", make_body(size))
    assert answer.json["status_message"] == "Content Too Large"
    assert (answer.status, wire.get("/voip/mailbox").result) == (413, [])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_too_large_body_of_a_get_is_ignored(wire, method):
    assert wire.call(method, "/voip/mailbox", make_body(8 * MEBIBYTE)).status == 200
    assert wire.get("/voip/mailbox").status == 200


def test_chunked_body_is_read(connection, request_head):
    send_chunked(connection, request_head, b'{"name": "Sales"}', size=5)
    status, body = read_answer(connection)
    assert (status, body["result"]["name"]) == (201, "Sales")


def test_too_large_chunked_body_is_413(connection, request_head):
    send_chunked(connection, request_head, make_body(8 * MEBIBYTE))
    status, body = read_answer(connection)
    assert (status, body["result"]) == (413, {})
    assert not Mailbox.objects.exists()


def test_connection_stays_usable_after_413(connection, request_head):
    send_chunked(connection, request_head, make_body(2 * MEBIBYTE))
    assert read_answer(connection)[0] == 413
    send_chunked(connection, request_head, b'{"name": "Sales"}')
    assert read_answer(connection)[0] == 201


def test_answer_204_has_neither_body_nor_length(connection, request_head):
    """A body would be read as the start of the next answer."""
    send_chunked(connection, request_head, b'{"name": "Sales"}')
    uuid = read_answer(connection)[1]["result"]["uuid"]
    credentials = request_head.split("\r\n", 1)[1]
    connection.sendall(f"DELETE /voip/mailbox/{uuid} HTTP/1.1\r\n{credentials}\r\n".encode())
    answer = connection.recv(65536).decode().lower()
    assert answer.startswith("http/1.1 204 no content\r\n")
    assert answer.endswith("\r\n\r\n")
    assert "content-length" not in answer
    assert "transfer-encoding" not in answer
    connection.sendall(f"GET /authenticated HTTP/1.1\r\n{credentials}\r\n".encode())
    assert read_answer(connection)[0] == 200
