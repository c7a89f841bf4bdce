"""The service answers to its own names only, and takes nobody's word on what they are."""

import socket

import pytest

from tests.security.browser import HOST

WRONG = [
    "evil.example",
    "localhost.evil.example",
    "evil.example:80@localhost",
    "localhost@evil.example",
    "localhost:80:80",
    "localhost:abc",
    "localhost, evil.example",
    "[::1]evil.example",
    "",
    ".",
    "%6cocalhost",
    "localhost/../evil.example",
    "локальный",
]


@pytest.mark.parametrize("host", WRONG)
def test_a_wrong_host_is_refused_on_every_kind_of_page(browser, host):
    for path in ("/", "/sign-in/", "/admin/login/", "/docs/", "/voip/mailbox", "/nowhere"):
        answer = browser.get(path, Host=host.encode())
        assert answer.status == 400
        assert "evil.example" not in str(answer.headers) + answer.body.decode()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost:8443", "127.0.0.1"])
def test_its_own_are_taken(browser, host):
    assert browser.get("/sign-in/", Host=host).status == 200


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-Host", "X-Host", "X-Forwarded-Server", "X-HTTP-Host-Override", "Forwarded"],
)
def test_no_other_header_names_the_host(browser, header):
    """The reference carries the reader's own host in its samples, and redirects lead to it."""
    value = "host=evil.example" if header == "Forwarded" else "evil.example"
    for path in ("/docs/", "/", "/sign-in/?next=/me/"):
        answer = browser.get(path, **{header: value, "X-Forwarded-Port": "81"})
        assert "evil.example" not in str(answer.headers) + answer.body.decode()
    assert f"https://{HOST}/voip/mailbox" in browser.get("/docs/").body.decode()


def statuses(production, *lines) -> list[bytes]:
    """The statuses of what is answered to the request, written line by line."""
    with socket.create_connection(("127.0.0.1", production.port), timeout=20) as connection:
        head = [*lines, "X-Forwarded-Proto: https", "Connection: close", "", ""]
        connection.sendall("\r\n".join(head).encode())
        answer = connection.makefile("rb").read()
    assert b"evil.example" not in answer
    return [line.split()[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


@pytest.mark.parametrize(
    "lines",
    [
        ["GET /sign-in/ HTTP/1.1", "Host: localhost", "Host: evil.example"],
        ["GET /sign-in/ HTTP/1.1", "Host: evil.example", "Host: localhost"],
        ["GET http://evil.example/sign-in/ HTTP/1.1", "Host: evil.example"],
        ["GET /sign-in/ HTTP/1.1", "Host : localhost"],
        ["GET /sign-in/ HTTP/1.1", " Host: localhost"],
        ["GET /sign-in/ HTTP/1.1", "Host: localhost", " evil.example"],
    ],
)
def test_no_two_minds_about_the_host(production, lines):
    assert statuses(production, *lines) == [b"400"]


def test_a_whole_address_as_the_target_leads_nowhere_else(production):
    """RFC 9112, 3.2.2: a server takes it; whatever host it names, none but the Host header's is used."""
    lines = ["GET https://evil.example/docs/ HTTP/1.1", f"Host: {HOST}"]
    assert statuses(production, *lines) in ([b"200"], [b"400"])
