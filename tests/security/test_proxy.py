"""Behind a proxy, a caller's address is the one that the proxy adds."""

import socket

import pytest
from axes.models import AccessAttempt

from mailboxes.models import Account
from tests.conftest import headers_for
from tests.security.browser import Browser

pytestmark = pytest.mark.django_db(transaction=True)

CALLER = "192.0.2.7"

# Values of X-Forwarded-For that a caller sends. The proxy appends the address that it sees.
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


def build_headers(forged, caller=CALLER):
    """Return the headers that the service gets if a caller sends the proxy a forged value."""
    return {"X-Forwarded-For": f"{forged}, {caller}", **dict.fromkeys(OTHERS, "198.51.100.1")}


def test_forged_addresses_give_no_more_attempts_at_a_password(production, rosa):
    statuses = []
    with Browser(production.port) as browser:
        for forged in FORGED:
            statuses.append(browser.sign_in(password="wrong", **build_headers(forged)).status)
        assert browser.sign_in(**build_headers("198.51.100.9")).status == 429
        assert statuses == [200] * 4 + [429] * (len(FORGED) - 4)
        assert set(AccessAttempt.objects.values_list("ip_address", flat=True)) == {CALLER}
        assert browser.sign_in(**build_headers("", caller="192.0.2.8")).status == 302


@pytest.mark.parametrize("address", ["2001:db8::7", "192.0.2.7:4711", "nonsense"])
def test_lock_out_of_an_unusual_address_affects_no_other_address(production, rosa, address):
    with Browser(production.port, address) as browser, Browser(production.port) as other:
        statuses = [browser.sign_in(password="wrong").status for _ in range(5)]
        assert statuses == [200, 200, 200, 200, 429]
        assert browser.sign_in().status == 429
        assert other.sign_in().status == 302


@pytest.fixture
def credential(db):
    """The headers of a credential that is limited to two networks."""
    return headers_for(Account.objects.create(name="acme"), networks="198.51.100.1, 2001:db8::/64")


def get_status(browser, credential, **headers):
    return browser.get("/authenticated", **credential, **headers).status


def test_credential_is_accepted_from_its_networks_only(browser, credential):
    assert get_status(browser, credential) == 403
    for address in ("198.51.100.1", "::ffff:198.51.100.1", "2001:db8::99"):
        assert get_status(browser, credential, **{"X-Forwarded-For": address}) == 200
    for address in ("198.51.100.2", "2001:db8:1::1", "", "nonsense", "198.51.100.1:80", "unknown"):
        assert get_status(browser, credential, **{"X-Forwarded-For": address}) == 403


def test_credential_is_refused_from_a_forged_address(browser, credential):
    statuses = {
        forged: get_status(browser, credential, **build_headers(forged)) for forged in FORGED
    }
    assert statuses == dict.fromkeys(FORGED, 403)


def test_credential_is_refused_if_a_second_header_forges_the_address(production, credential):
    """Two headers of the same name are one list, in the order in which they were sent."""
    lines = [f"{name}: {value}" for name, value in credential.items()]
    forged = [
        f"X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: {CALLER}",
        "X-Forwarded-Proto: https",
    ]
    head = ["GET /authenticated HTTP/1.1", "Host: localhost", *lines, *forged, "", ""]
    with socket.create_connection(("127.0.0.1", production.port), timeout=20) as connection:
        connection.sendall("\r\n".join(head).encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")


def test_header_with_underscores_is_refused(production, credential):
    """If a server read _ as -, `X_Forwarded_For` would pass the proxy unchanged."""
    for name in ("X_Forwarded_For", "X-Forwarded_For", "x_forwarded-for"):
        with Browser(production.port) as browser:
            assert get_status(browser, credential, **{name: "198.51.100.1"}) == 400
