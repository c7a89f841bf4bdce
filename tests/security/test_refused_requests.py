"""Requests that the server refuses before a view: they change nothing, and are logged."""

import json
import time

import pytest

from mailboxes.api.fastpath import common_headers
from mailboxes.models import Account, Mailbox
from tests.config.caller import Caller
from tests.conftest import database_url, headers_for
from tests.security.browser import Browser, create_superuser
from tests.server import Server, until

pytestmark = pytest.mark.django_db(transaction=True)

BODY = b'{"name": "Sales"}'


@pytest.fixture
def reseller(account):
    """An account with a customer, for whom its credential may act."""
    Account.objects.create(name="customer", reseller=account)
    return account


@pytest.fixture
def caller(production):
    with Caller(production.port) as caller:
        yield caller


def send_creation(caller, account, *lines, path="/voip/mailbox", length=None):
    """Send a request that creates a mailbox, with additional header lines."""
    fields = headers_for(account) | {"Host": "localhost", "X-Forwarded-Proto": "https"}
    fields |= {"Content-Type": "application/json", "Content-Length": length or len(BODY)}
    fields = [f"{name}: {value}" for name, value in fields.items()]
    caller.send_request(f"POST {path} HTTP/1.1", *fields, *lines, body=BODY)


def assert_is_refused(server, caller, status):
    """Check the answer's envelope and headers, its line in the log, and the closed connection."""
    answered, headers, body = caller.answer()
    assert (answered, json.loads(body)["status_code"]) == (status, status)
    assert json.loads(body)["errors"]["non_field_errors"][0]["code"] == "invalid"
    assert {name.lower() for name in common_headers()} <= headers.keys()
    assert headers["connection"] == "close"
    assert caller.is_closed()
    line = f" {status} "
    until(lambda: any(line in each for each in find_lines(server, headers["x-request-id"])))
    assert not Mailbox.objects.exists()


def find_lines(server, request_id) -> list[str]:
    return [line for line in server.output().splitlines() if f"id={request_id}" in line]


@pytest.mark.parametrize(
    "lines",
    [
        ["X-Auth-For: customer", "X-Auth-For: customer"],
        ["X-Auth-For: customer", "X-Auth-For:"],
        ["X_Auth_For: customer"],
        ["X-Auth_For: customer"],
    ],
)
def test_repeated_or_underscored_header_is_refused(production, reseller, caller, lines):
    send_creation(caller, reseller, *lines)
    assert_is_refused(production, caller, 400)


def test_upgrade_to_another_protocol_is_refused(production, reseller, caller):
    send_creation(caller, reseller, "Connection: Upgrade", "Upgrade: h2c")
    assert_is_refused(production, caller, 400)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"X-Auth-For: \xfc\xe4", 403),
        (b"X-Auth-For: \xa0", 403),
        (b"X-Auth-For: customer\xff", 403),
        (b"X-Auth-For: customer\0", 400),
        (b"X-Auth-For: \0", 400),
        (b"X-Auth-For:\r\n customer", 400),
        (b"X-Auth-For: \r\n\tcustomer", 400),
    ],
)
def test_unusual_x_auth_for_is_refused(reseller, caller, line, status):
    send_creation(caller, reseller, line)
    assert caller.status() == status
    assert not Mailbox.objects.exists()


@pytest.mark.parametrize(
    ("line", "name"), [("X-Auth-For:", "acme"), ("X-Auth-For: customer", "customer")]
)
def test_empty_x_auth_for_means_no_customer(reseller, caller, line, name):
    send_creation(caller, reseller, line)
    assert caller.status() == 201
    assert Mailbox.objects.get().account.name == name


@pytest.mark.parametrize("line", ["X-Auth-For: customer", "X-Forwarded-For: 192.0.2.9"])
def test_body_with_a_trailer_is_refused(reseller, caller, line):
    fields = headers_for(reseller) | {"Host": "localhost", "X-Forwarded-Proto": "https"}
    fields |= {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    fields = [f"{name}: {value}" for name, value in fields.items()]
    body = b"11\r\n%s\r\n0\r\n%s\r\n\r\n" % (BODY, line.encode())
    caller.send_request("POST /voip/mailbox HTTP/1.1", *fields, body=body)
    assert caller.status() == 400
    assert not Mailbox.objects.exists()


@pytest.fixture(scope="module")
def impatient(django_db_setup):
    timeouts = {"REQUEST_TIMEOUT": "1", "UPLOAD_TIMEOUT": "3"}
    with Server(database_url(), WEB_CONCURRENCY="1", **timeouts) as running:
        yield running


def send_slowly(caller, seconds):
    """Send a part of a body for nearly so many seconds."""
    end = time.monotonic() + seconds - 0.3
    while time.monotonic() < end:
        caller.send(b" " * 1000)
        time.sleep(0.1)


def test_deadline_of_a_slow_body_is_not_extended(impatient, account):
    start = time.monotonic()
    with Caller(impatient.port) as caller:
        send_creation(caller, account, length=900_000)
        send_slowly(caller, 1)
        assert_is_refused(impatient, caller, 408)
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize(
    ("path", "seconds"),
    [("/mailboxes/new/", 1), pytest.param("/import/", 3, marks=pytest.mark.long)],
)
def test_deadline_of_a_slow_form_is_not_extended(impatient, path, seconds):
    create_superuser("rosa")
    with Browser(impatient.port, scheme="http") as browser:
        browser.sign_in()
    start = time.monotonic()
    with Caller(impatient.port) as caller:
        lines = ["Host: localhost", f"Cookie: {browser.join_cookies()}", "Content-Length: 900000"]
        caller.send_request(f"POST {path} HTTP/1.1", *lines)
        send_slowly(caller, seconds)
        status, headers, body = caller.answer()
        assert (status, headers["connection"], caller.is_closed()) == (408, "close", True)
        assert "The body did not arrive in time." in body.decode()
    assert time.monotonic() - start >= seconds
