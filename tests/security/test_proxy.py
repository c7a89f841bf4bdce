"""Behind a proxy callers are told apart by its word alone: what a caller says of itself changes nothing."""

import socket

import pytest
from axes.models import AccessAttempt

from mailboxes.models import Account
from tests.conftest import headers_for
from tests.security.browser import Browser

pytestmark = pytest.mark.django_db(transaction=True)

CALLER = "192.0.2.7"

# What a caller sends along, to which the proxy adds the address that it sees.
FORGED = [
    "198.51.100.1",
    "198.51.100.1, 198.51.100.2, 198.51.100.3",
    "127.0.0.1",  # the proxy's own
    "127.0.0.1, 127.0.0.1",
    "nonsense",
    "198.51.100.1:8080",
    "[2001:db8::1]:443",
    "2001:db8::1",
    "::ffff:198.51.100.1",
    "unknown",
    "",
    ",,,",
    "%0d%0a198.51.100.1",
    "198.51.100.1\t",
    ", ".join(["198.51.100.1"] * 200),
]
OTHERS = ["X-Real-IP", "Forwarded", "Client-IP", "X-Client-IP", "True-Client-IP", "X-Forwarded"]


def through_proxy(forged, caller=CALLER):
    """The header as a proxy hands it on that adds to what it was sent."""
    return {"X-Forwarded-For": f"{forged}, {caller}", **dict.fromkeys(OTHERS, "198.51.100.1")}


def test_nobody_gets_more_tries_at_a_password(production, rosa):
    """Each with another address of its own making: all are counted as one caller's."""
    statuses = []
    with Browser(production.port) as browser:
        for forged in FORGED:
            statuses.append(browser.sign_in(password="wrong", **through_proxy(forged)).status)
        assert browser.sign_in(**through_proxy("198.51.100.9")).status == 429
        assert statuses == [200] * 4 + [429] * (len(FORGED) - 4)
        assert set(AccessAttempt.objects.values_list("ip_address", flat=True)) == {CALLER}
        assert browser.sign_in(**through_proxy("", caller="192.0.2.8")).status == 302


@pytest.mark.parametrize("address", ["2001:db8::7", "192.0.2.7:4711", "nonsense"])
def test_whatever_the_proxy_says_of_a_caller_it_is_locked_out_alone(production, rosa, address):
    with Browser(production.port, address) as browser, Browser(production.port) as other:
        statuses = [browser.sign_in(password="wrong").status for _ in range(5)]
        assert statuses == [200, 200, 200, 200, 429]
        assert browser.sign_in().status == 429
        assert other.sign_in().status == 302


@pytest.fixture
def credential(db):
    """Of an account, for callers at one address."""
    return headers_for(Account.objects.create(name="acme"), networks="198.51.100.1, 2001:db8::/64")


def status(browser, credential, **headers):
    return browser.get("/authenticated", **credential, **headers).status


def test_a_credential_opens_from_its_networks_only(browser, credential):
    assert status(browser, credential) == 403
    for address in ("198.51.100.1", "::ffff:198.51.100.1", "2001:db8::99"):
        assert status(browser, credential, **{"X-Forwarded-For": address}) == 200
    for address in ("198.51.100.2", "2001:db8:1::1", "", "nonsense", "198.51.100.1:80", "unknown"):
        assert status(browser, credential, **{"X-Forwarded-For": address}) == 403


def test_no_word_of_its_own_opens_it_from_elsewhere(browser, credential):
    statuses = {forged: status(browser, credential, **through_proxy(forged)) for forged in FORGED}
    assert statuses == dict.fromkeys(FORGED, 403)


def test_nor_does_a_second_header(production, credential):
    """Two of the same name count as one list, in the order in which they came."""
    lines = [f"{name}: {value}" for name, value in credential.items()]
    forged = [
        f"X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: {CALLER}",
        "X-Forwarded-Proto: https",
    ]
    head = ["GET /authenticated HTTP/1.1", "Host: localhost", *lines, *forged, "", ""]
    with socket.create_connection(("127.0.0.1", production.port), timeout=20) as connection:
        connection.sendall("\r\n".join(head).encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")


def test_same_header_with_underscores_is_refused(production, credential):
    """A server that takes _ for - would let `X_Forwarded_For` through past the proxy."""
    for name in ("X_Forwarded_For", "X-Forwarded_For", "x_forwarded-for"):
        with Browser(production.port) as browser:
            assert status(browser, credential, **{name: "198.51.100.1"}) == 400
