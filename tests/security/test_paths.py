"""Unusual spellings of a path reach no file outside, and no page without its sign-in."""

import socket

import pytest

from tests.server import ROOT

pytestmark = pytest.mark.django_db(transaction=True)

OUTSIDE = ["manage.py", "pyproject.toml", "config/settings.py", ".env", "var/mailboxes.sqlite3"]
UPWARDS = [
    "../../",
    "..%2f..%2f",
    "%2e%2e/%2e%2e/",
    "%2e%2e%2f%2e%2e%2f",
    ".%2e/.%2e/",
    "..\\..\\",
    "..%5c..%5c",
    "%252e%252e%252f%252e%252e%252f",
    "....//....//",
    "..;/..;/",
    "css/../../../",
    "css/%2e%2e/%2e%2e/%2e%2e/",
    "%c0%ae%c0%ae/%c0%ae%c0%ae/",  # overlong
    "..%c0%af..%c0%af",
    "..%00/..%00/",
    "/",
    "//",
    "%2f",
    f"/{ROOT}/",
    f"%2f{ROOT}/",
    "file://",
]


def send_request(port, target, *lines) -> bytes:
    """Send a GET request, and return the answer. HTTP libraries would change the target."""
    head = [f"GET {target} HTTP/1.1", "Host: localhost", "X-Forwarded-Proto: https", *lines]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1"))
        return connection.makefile("rb").read()


def parse_status(answer) -> int:
    return int(answer.split(b" ", 2)[1])


def test_files_that_the_attacks_request_exist():
    assert all((ROOT / name).exists() for name in OUTSIDE[:3])
    assert (ROOT / "var/static/css/base.css").exists()


def find_shown(production, targets, secret=b"acme") -> dict:
    """Return the status of each target whose answer is no refusal, or contains the secret."""
    answers = {target: send_request(production.port, target) for target in targets}
    refusals = (301, 302, 400, 401, 404)
    return {
        target: parse_status(answer)
        for target, answer in answers.items()
        if parse_status(answer) not in refusals or secret in answer
    }


def test_file_outside_the_static_folder_is_not_served(production):
    targets = [f"/static/{upwards}{name}" for upwards in UPWARDS for name in OUTSIDE]
    assert find_shown(production, targets, secret=b"import os") == {}


OTHER_SPELLINGS_OF_FILES = [
    "/static/",
    "/static",
    "/static/css/",
    "/static/css",
    "/static/staticfiles.json/",
    "/static/css/base.css/",
    "/static/css/base.css%00",
    "/static/css/base.css%20",
    "/STATIC/css/base.css",
    "/static/css/BASE.CSS",
    "/static/.",
]


def test_other_spelling_of_a_static_file_is_refused(production):
    assert parse_status(send_request(production.port, "/static/css/base.css")) == 200
    assert find_shown(production, OTHER_SPELLINGS_OF_FILES) == {}


OTHER_SPELLINGS_OF_PAGES = [
    "//",
    "/./",
    "/%2e/",
    "/accounts/",
    "/accounts//",
    "//accounts/",
    "/accounts/;/",
    "/accounts;x=1/",
    "/ACCOUNTS/",
    "/accounts/%20",
    "/accounts/%00",
    "/accounts/..%2fadmin/",
    "/static/../accounts/",
    "/static/..%2faccounts/",
    "/docs/../accounts/",
    "/docs/..;/accounts/",
    "/docs/%2e%2e/accounts/",
    "/voip/../accounts/",
    "/voip/..%2faccounts/",
    "/healthz/../accounts/",
    "/healthz/",
    "/healthz;/accounts/",
    "/sign-in/../accounts/",
    "/sign-in/%2e%2e/accounts/",
    "/admin/login/../mailboxes/mailbox/",
    "/admin//mailboxes/mailbox/",
    "/admin/login/..;/mailboxes/mailbox/",
    "/%61ccounts/",
    "/\\accounts/",
    "/%ff/",
    "/%c0%ae/",
    "*",
    "accounts/",
]


def test_other_spelling_of_a_page_needs_sign_in(production, account):
    """A stranger is redirected to the sign-in page or gets 404, and nothing crashes."""
    assert find_shown(production, OTHER_SPELLINGS_OF_PAGES) == {}


OTHER_SPELLINGS_OF_THE_API = [
    "//voip/mailbox",
    "/voip//mailbox",
    "/voip/./mailbox",
    "/docs/../voip/mailbox",
    "/voip/mailbox/..",
    "/voip/mailbox/%2e%2e/%2e%2e/accounts/",
    "/voip/mailbox;x=1",
    "/voip/mailbox%2f",
    "/voip%2fmailbox",
    "/VOIP/mailbox",
    "/voip/mailbox//",
    "/voip/mailbox%00",
    "/voip/mailbox%0a",
    "/voip/mailbox/%c0%ae",
    "/authenticated/..",
    "/authenticated%2f..",
]


def test_other_spelling_of_the_api_needs_a_credential(production):
    assert find_shown(production, OTHER_SPELLINGS_OF_THE_API) == {}


def test_override_headers_do_not_change_the_path_or_the_method(production):
    for header in (
        "X-Original-URL: /accounts/",
        "X-Rewrite-URL: /accounts/",
        "X-HTTP-Method-Override: DELETE",
    ):
        answer = send_request(production.port, "/sign-in/", header)
        assert parse_status(answer) == 200
        assert b"<h1>Sign in" in answer
