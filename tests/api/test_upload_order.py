"""Uploads of recordings: what is checked before the body is read, and counted calls."""

import json
import re
import socket
from http.client import HTTPResponse
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django.test.client import MULTIPART_CONTENT

from mailboxes import contract
from mailboxes.http.bodies import BODY_UNREAD, KEPT
from mailboxes.models import Message
from tests.conftest import headers_for
from tests.recordings import make_form, make_wav

WAV = make_wav()
LONG = bytes(contract.MAX_RECORDING_BYTES)


@pytest.fixture(autouse=True)
def _no_counts():
    cache.clear()


@pytest.fixture
def open_call(server, account, transactional_db):
    """Return a function that sends the head of an upload, and returns the socket."""
    opened = []

    def send_head(path, **changes):
        form = make_form(WAV)
        headers = headers_for(account) | form["headers"] | {"Host": "localhost"}
        headers |= {"Content-Length": str(len(form["body"])), "Expect": "100-continue"}
        lines = [f"{name}: {value}" for name, value in (headers | changes).items() if value]
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        opened.append(connection)
        connection.sendall("\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode())
        return connection, form["body"]

    yield send_head
    for connection in opened:
        connection.close()


def read_status(connection) -> int:
    return int(connection.recv(65536).split(b" ", 2)[1])


def test_caller_that_waits_is_told_to_continue(open_call, path):
    connection, body = open_call(path)
    assert read_status(connection) == 100
    connection.sendall(body)
    assert read_status(connection) == 201
    assert Message.objects.count() == 1


@pytest.mark.parametrize("encoding", ["utf-16", "zip", "nonsense"])
def test_form_is_read_as_utf_8_whatever_encoding_is_named(open_call, path, encoding):
    kind = f"{MULTIPART_CONTENT}; charset={encoding}"
    connection, body = open_call(path, **{"Content-Type": kind, "Expect": ""})
    connection.sendall(body)
    assert read_status(connection) == 201


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"X-Auth-Password": "wrong"}, 401),
        ({"X-Auth-For": "nobody"}, 403),
        ({"Accept": "text/html"}, 406),
        ({"Content-Type": "audio/wav"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
def test_caller_that_waits_is_refused_before_it_sends_the_body(open_call, path, change, status):
    connection, _body = open_call(path, **change)
    assert read_status(connection) == status


def test_unknown_mailbox_is_refused_before_the_body_is_sent(open_call, path):
    connection, _body = open_call(f"/voip/mailbox/{uuid4()}/messages")
    assert read_status(connection) == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"X-Auth-Password": "wrong"}, 401), ({"X-Auth-For": "nobody"}, 403)],
)
def test_answer_to_a_refused_recording_reaches_the_caller(wire, wire_path, headers, status):
    form = make_form(LONG)
    answer = wire.post(wire_path, body=form["body"], headers=form["headers"] | headers)
    assert (answer.status, answer.json["status_code"]) == (status, status)


def test_form_without_a_body_names_the_recording(open_call, path):
    connection, _body = open_call(path, **{"Content-Length": "0", "Expect": ""})
    answer = HTTPResponse(connection)
    answer.begin()
    assert (answer.status, list(json.load(answer)["errors"])) == (400, ["recording"])


def read_remaining(answer) -> int:
    return int(re.search(r"r=(\d+)", answer.headers["ratelimit"])[1])


def test_upload_is_counted_once_whatever_its_answer(service, path, settings):
    settings.RATE_LIMIT = (100, 3600)
    unknown = f"/voip/mailbox/{uuid4()}/messages"
    for remaining, (address, form, status) in enumerate(
        [
            (path, {"body": WAV, "headers": {"Content-Type": "audio/wav"}}, 415),
            (unknown, make_form(WAV), 404),
            (path, make_form(), 400),
            (path, make_form(WAV), 201),
        ],
        start=-99,
    ):
        answer = service.post(address, **form)
        assert (answer.status, read_remaining(answer)) == (status, -remaining)


@pytest.fixture
def pass_on(account, path):
    """Return a function that makes a call as the server does, with these keys in its environ."""
    form, headers = make_form(WAV), headers_for(account)

    def call(**environ):
        content_type = form["headers"]["Content-Type"]
        return Client().generic(
            "POST", path, form["body"], content_type, headers=headers, **environ
        )

    return call


def test_upload_is_counted_once_in_its_two_passes(pass_on, settings):
    settings.RATE_LIMIT = (10, 3600)
    kept = {}
    assert pass_on(**{BODY_UNREAD: True, KEPT: kept}).status_code == 100
    answer = pass_on(**{KEPT: kept})
    assert (answer.status_code, read_remaining(answer)) == (201, 9)


def test_upload_over_the_limit_is_refused_before_its_body_is_read(pass_on, settings):
    settings.RATE_LIMIT = (0, 3600)
    answer = pass_on(**{BODY_UNREAD: True, KEPT: {}})
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)
    assert Message.objects.count() == 0
