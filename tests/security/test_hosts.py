"""Host headers: the service answers to its own names, and no other header sets them."""

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
def test_wrong_host_is_refused_on_every_kind_of_page(browser, host):
    for path in ("/", "/sign-in/", "/admin/login/", "/docs/", "/voip/mailbox", "/nowhere"):
        answer = browser.get(path, Host=host.encode())
        assert answer.status == 400
        assert "evil.example" not in str(answer.headers) + answer.body.decode()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost:8443", "127.0.0.1"])
def test_own_host_is_accepted(browser, host):
    assert browser.get("/sign-in/", Host=host).status == 200


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-Host", "X-Host", "X-Forwarded-Server", "X-HTTP-Host-Override", "Forwarded"],
)
def test_other_headers_do_not_set_the_host(browser, header):
    """The API reference shows the reader's host in its samples, and redirects contain it."""
    value = "host=evil.example" if header == "Forwarded" else "evil.example"
    for path in ("/docs/", "/", "/sign-in/?next=/me/"):
        answer = browser.get(path, **{header: value, "X-Forwarded-Port": "81"})
        assert "evil.example" not in str(answer.headers) + answer.body.decode()
    assert f"https://{HOST}/voip/mailbox" in browser.get("/docs/").body.decode()


def send_lines(production, *lines) -> list[bytes]:
    """Send a request of these lines, and return the statuses of all answers."""
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
def test_ambiguous_host_is_refused(production, lines):
    assert send_lines(production, *lines) == [b"400"]


def test_host_of_an_absolute_target_is_ignored(production):
    """RFC 9112, section 3.2.2, lets a request line contain a whole URL. Only Host counts here."""
    lines = ["GET https://evil.example/docs/ HTTP/1.1", f"Host: {HOST}"]
    assert send_lines(production, *lines) in ([b"200"], [b"400"])
