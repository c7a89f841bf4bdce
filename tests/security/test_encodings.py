"""Addresses and forms are read as UTF-8, whatever encoding a caller names."""

import pytest

from mailboxes.models import Mailbox
from tests.conftest import headers_for

pytestmark = pytest.mark.django_db(transaction=True)

FORM = "application/x-www-form-urlencoded"
# Other text encodings, codecs that are not for text, and an unknown one.
ENCODINGS = ["utf-7", "utf-16", "idna", "punycode", "base64", "zip", "undefined", "nonsense"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_form_without_its_token_is_refused_in_any_encoding(browser, encoding):
    browser.get("/sign-in/")  # Django reads the form for a token only if its cookie is sent
    headers = {"Content-Type": f"{FORM}; charset={encoding}", "Referer": "https://localhost/"}
    for path, status in (("/sign-in/", 403), ("/nowhere/", 404)):
        answer = browser.call("POST", path, "username=rosa&password=%FF", **headers)
        assert (answer.status, answer.headers["x-frame-options"]) == (status, "DENY")


@pytest.mark.parametrize(
    "parameter",
    [
        ";charset=zip",
        "; CHARSET = zip",
        ";\tcharset*=utf-8''zip",
        '; charset="zip"; x=y',
        ";x;charset=zip",
        "; x*=zip''%FF",
        "; boundary*=nonsense''%FF",
        """; "x;y"*=nonsense''%FF""",
    ],
)
def test_hostile_content_type_causes_no_error_on_any_page(browser, parameter):
    answer = browser.get("/sign-in/?next=%FF", **{"Content-Type": FORM + parameter})
    assert answer.status == 200


def test_too_many_parameters_are_refused(browser):
    """If an encoding is named, Django counts parameters before any middleware runs."""
    headers = {"Content-Type": f"{FORM}; charset=utf-8"}
    answer = browser.get("/sign-in/?" + "x&" * 1001, **headers)
    assert (answer.status, answer.headers["x-frame-options"]) == (400, "DENY")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_form_is_read_as_utf_8(browser, rosa, account, encoding):
    browser.sign_in()
    form = {"account": "acme", "name": "東京"}
    answer = browser.post(
        "/mailboxes/new/", form, **{"Content-Type": f"{FORM}; charset={encoding}"}
    )
    assert answer.status == 302
    assert Mailbox.objects.get().name == "東京"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_query_string_is_read_as_utf_8(browser, account, encoding):
    headers = {"Content-Type": f"application/json; charset={encoding}"}
    assert browser.get("/sign-in/?next=%FF", **headers).status == 200
    Mailbox.objects.create(account=account, name="東京")
    answer = browser.get("/voip/mailbox?name=%E6%9D%B1%E4%BA%AC", **headers_for(account), **headers)
    assert [mailbox["name"] for mailbox in answer.result] == ["東京"]
