"""Limits of request lines, headers, bodies, form fields and files.

Bodies of API calls are in tests/api/test_bodies.py, nested JSON in tests/api/test_hostile_input.py.
"""

import socket
from urllib.parse import urlencode

import pytest

from config.server import HEAD_BYTES, HEADERS
from mailboxes.contract import MAX_BODY_BYTES
from mailboxes.models import Import


def get_status(production, start, *lines) -> int:
    """Send a request of these lines, and return the answer's status."""
    head = [start, "Host: localhost", "X-Forwarded-Proto: https", *lines, "", ""]
    with socket.create_connection(("127.0.0.1", production.port), timeout=20) as connection:
        connection.sendall("\r\n".join(head).encode())
        return int(connection.recv(65536).split(b" ", 2)[1])


START = "GET /sign-in/ HTTP/1.1"


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([START], 200),
        (["GET /sign-in/?q=" + "x" * 30_000 + " HTTP/1.1"], 200),
        (["GET /sign-in/?q=" + "x" * HEAD_BYTES + " HTTP/1.1"], 400),
        (["GET /" + "x" * 60_000 + " HTTP/1.1"], 400),
        (["G" * 60_000 + " / HTTP/1.1"], 400),
        ([START, "X-Long: " + "x" * 30_000], 200),
        ([START, "X-Long: " + "x" * HEAD_BYTES], 400),
        ([START, "x" * HEAD_BYTES + ": x"], 400),
        ([START, *(f"X-{number}: x" for number in range(HEADERS - 10))], 200),
        ([START, *(f"X-{number}: x" for number in range(HEADERS))], 400),
    ],
    ids=range(10),
)
def test_head_that_is_too_large_is_refused(production, lines, status):
    assert get_status(production, *lines) == status


def test_endless_head_is_cut_off(production):
    connection = socket.create_connection(("127.0.0.1", production.port), timeout=20)
    with connection, pytest.raises(ConnectionError):
        connection.sendall(b"x" * 100 * 1024**2)


@pytest.fixture
def staff_browser(browser, rosa):
    browser.sign_in()
    return browser


def send_form(browser, path, body, content_type="application/x-www-form-urlencoded"):
    """Send the body with a valid CSRF token, and return the answer's status."""
    headers = {"Content-Type": content_type, "Referer": f"https://localhost{path}"}
    return browser.call(
        "POST", path, body, **headers, **{"X-CSRFToken": browser.cookies["csrftoken"]}
    ).status


@pytest.mark.django_db(transaction=True)
def test_form_of_too_many_bytes_is_refused(staff_browser):
    assert send_form(staff_browser, "/mailboxes/new/", "name=" + "x" * (MAX_BODY_BYTES // 2)) == 200
    assert send_form(staff_browser, "/mailboxes/new/", "name=" + "x" * (MAX_BODY_BYTES + 1)) == 413


@pytest.mark.django_db(transaction=True)
def test_form_of_too_many_fields_is_refused(staff_browser):
    for count, status in ((900, 200), (1100, 400)):
        form = urlencode([(f"field{number}", "x") for number in range(count)])
        assert send_form(staff_browser, "/mailboxes/new/", form) == status


def build_multipart(*bodies):
    """Return a form with a file for each of the bodies."""
    lines = [
        f'--b\r\nContent-Disposition: form-data; name="file{number}"; filename="f"\r\n\r\n{body}\r\n'
        for number, body in enumerate(bodies)
    ]
    return "".join(lines) + "--b--\r\n"


@pytest.mark.django_db(transaction=True)
def test_form_of_too_many_files_is_refused(staff_browser):
    form = "multipart/form-data; boundary=b"
    assert send_form(staff_browser, "/import/", build_multipart(*["x"] * 90), form) == 200
    assert send_form(staff_browser, "/import/", build_multipart(*["x"] * 110), form) == 400
    assert not Import.objects.exists()


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "10, 20", "+5", ""])
def test_malformed_content_length_is_refused(production, length):
    lines = ["POST /voip/mailbox HTTP/1.1", f"Content-Length: {length}"]
    assert get_status(production, *lines) == 400


def test_ambiguous_body_length_is_refused(production):
    """If two servers read the length differently, one of them finds a second, hidden request."""
    smuggled = "GET /accounts/ HTTP/1.1"
    for lines in (
        ["Content-Length: 5", "Transfer-Encoding: chunked", "", "0", "", smuggled],
        ["Content-Length: 5", "Content-Length: 60", "", "12345" + smuggled],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity", "", "0", "", smuggled],
        ["Transfer-Encoding: xchunked", "", "0", "", smuggled],
        ["Transfer-Encoding : chunked", "", "0", "", smuggled],
    ):
        assert get_status(production, "POST /voip/mailbox HTTP/1.1", *lines) == 400
