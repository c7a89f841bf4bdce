"""Attacks through HAProxy and nginx, each with its sample configuration in docs."""

import http.client
from contextlib import closing

import pytest

from mailboxes.http.bodies import MAX_UPLOAD_BYTES
from mailboxes.models import Account, Mailbox
from tests.config.caller import Caller
from tests.conftest import headers_for
from tests.guarantees.slow_callers import (
    KINDS,
    SlowCallers,
    build_request,
    create_export_request,
    make_calls,
)
from tests.proxies import HAProxy, Nginx
from tests.service import OverSocket

pytestmark = [pytest.mark.long, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module", params=[HAProxy, Nginx])
def proxy(request, production):
    with request.param([production] * 3) as running:
        yield running


@pytest.fixture
def service(proxy, account):
    with closing(OverSocket(headers_for(account), proxy.port)) as service:
        yield service


@pytest.fixture
def caller(proxy):
    with Caller(proxy.port) as caller:
        yield caller


def test_logged_address_is_the_one_that_the_proxy_saw(production, proxy, account):
    connection = http.client.HTTPConnection(
        "127.0.0.1", proxy.port, source_address=("127.0.0.2", 0)
    )
    forged = {"X-Forwarded-For": "192.0.2.9", "X-Forwarded-Proto": "http"}
    with closing(connection):
        connection.request("GET", "/authenticated", headers=headers_for(account) | forged)
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    (line,) = (
        line for line in production.output().splitlines() if answer.headers["X-Request-ID"] in line
    )
    assert "from=127.0.0.2 " in line


def test_body_over_a_limit_is_refused(service, caller):
    answer = service.post("/voip/mailbox", {"name": "x" * 2**20})
    assert (answer.status, answer.json["status_code"]) == (413, 413)
    length = f"Content-Length: {MAX_UPLOAD_BYTES + 1}"
    # HAProxy does not answer before its buffer is full.
    caller.send_request("POST /import/ HTTP/1.1", "Host: localhost", length, body=b"x" * 20_000)
    assert caller.status() == 413


@pytest.mark.parametrize("slow", KINDS, ids=[slow.kind for slow in KINDS])
def test_slow_callers_delay_no_other_call(proxy, account, slow):
    headers = headers_for(account)
    if slow.reads:
        slow.starts = [create_export_request(proxy, account, 4_000)]
    with SlowCallers(proxy.port, slow, slow.count // 10):
        failed, _slowest = make_calls(proxy, headers, 20, pause=0.06)
    assert failed == 0


BODY = b'{"name": "Sales"}'


def build_creation(headers, *lines) -> bytes:
    """Return a request that creates a mailbox."""
    return build_request("POST /voip/mailbox", headers, *lines) + BODY


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: {0}", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: {0}"],
        ["Content-Length: {0}", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: {0}"],
        ["Content-Length: {0}", "Transfer-Encoding: xchunked"],
        ["Content-Length: {0}", "Transfer-Encoding:\r\n chunked"],
        ["Content-Length: {0}", "X: x\nTransfer-Encoding: chunked"],
        ["Content-Length: {0}", "X: x\rTransfer-Encoding: chunked"],
        ["Content-Length: {0}", "Transfer_Encoding: chunked"],
        ["Content-Length: {0}", "Connection: Upgrade", "Upgrade: h2c"],
        ["Content-Length: {0}", "Connection: Content-Length"],
    ],
)
def test_request_hidden_in_a_body_is_not_executed(production, account, caller, lines):
    hidden = build_creation(headers_for(account), f"Content-Length: {len(BODY)}")
    body = (b"0\r\n\r\n" if "chunked" in "".join(lines) else b"hello") + hidden
    before = production.output().count("POST /voip")
    start = ["POST /voip/mailbox HTTP/1.1", "Host: localhost", "Connection: close"]
    caller.send_request(*start, *(line.format(len(body)) for line in lines), body=body)
    assert caller.status() in (400, 401, 501)
    assert caller.is_closed()
    assert production.output().count("POST /voip") - before <= 1
    assert not Mailbox.objects.exists()


@pytest.mark.parametrize(
    "line",
    [
        b"X_Auth_For: customer",
        b"X-Auth-For: customer\r\nX-Auth-For: customer",
        b"X-Auth-For:\r\n customer\xff",
        b"X-Auth-For: customer\xff",
    ],
)
def test_ambiguous_x_auth_for_is_refused(account, caller, line):
    Account.objects.create(name="customer", reseller=account)
    length = f"Content-Length: {len(BODY)}"
    request = build_creation(headers_for(account), length)
    caller.send(request.replace(length.encode(), length.encode() + b"\r\n" + line))
    assert caller.status() in (400, 403)
    assert not Mailbox.objects.exists()


def test_trailer_cannot_replace_the_header_of_the_proxy(account, caller):
    headers = headers_for(account, networks="192.0.2.9") | {"Content-Type": "application/json"}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    lines += ["Transfer-Encoding: chunked", "Host: localhost"]
    body = b"11\r\n%s\r\n0\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n" % BODY
    caller.send_request("POST /voip/mailbox HTTP/1.1", *lines, body=body)
    assert caller.status() in (400, 403)
    assert not Mailbox.objects.exists()
