"""A path means one thing: no way of writing it reaches a file outside, or a page past its guard."""

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


def ask(port, target, *lines) -> bytes:
    """The whole answer to the request, its target sent as it is written: libraries would tidy it up."""
    head = [f"GET {target} HTTP/1.1", "Host: localhost", "X-Forwarded-Proto: https", *lines]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1"))
        return connection.makefile("rb").read()


def status(answer) -> int:
    return int(answer.split(b" ", 2)[1])


def test_the_files_are_there_to_be_found():
    assert all((ROOT / name).exists() for name in OUTSIDE[:3])
    assert (ROOT / "var/static/css/base.css").exists()


def shown(production, targets, secret=b"acme") -> dict:
    """The statuses of those targets that are answered by more than a refusal, or with the secret."""
    answers = {target: ask(production.port, target) for target in targets}
    refusals = (301, 302, 400, 401, 404)
    return {
        target: status(answer)
        for target, answer in answers.items()
        if status(answer) not in refusals or secret in answer
    }


def test_no_file_outside_is_served(production):
    targets = [f"/static/{upwards}{name}" for upwards in UPWARDS for name in OUTSIDE]
    assert shown(production, targets, secret=b"import os") == {}


SECOND_NAMES = [
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


def test_no_list_of_files_and_no_second_name(production):
    assert status(ask(production.port, "/static/css/base.css")) == 200
    assert shown(production, SECOND_NAMES) == {}


GUARDED = [
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


def test_no_page_shows_itself_to_a_stranger(production, account):
    """Sent to the sign-in page, or told that there is nothing; never shown, and never a crash."""
    assert shown(production, GUARDED) == {}


OF_THE_API = [
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


def test_no_other_way_of_writing_opens_the_api(production):
    """Without credentials: refused as such, or no command at all."""
    assert shown(production, OF_THE_API) == {}


def test_no_header_changes_the_path_or_the_method(production):
    for header in (
        "X-Original-URL: /accounts/",
        "X-Rewrite-URL: /accounts/",
        "X-HTTP-Method-Override: DELETE",
    ):
        answer = ask(production.port, "/sign-in/", header)
        assert status(answer) == 200
        assert b"<h1>Sign in" in answer
