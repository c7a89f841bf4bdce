"""What a caller says of its encoding changes nothing: all is UTF-8, and no word for another one breaks a page."""

import pytest

from mailboxes.models import Mailbox
from tests.conftest import headers_for

pytestmark = pytest.mark.django_db(transaction=True)

FORM = "application/x-www-form-urlencoded"
# Of other text, of no text at all, and of none that anybody knows.
ENCODINGS = ["utf-7", "utf-16", "idna", "punycode", "base64", "zip", "undefined", "nonsense"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_strangers_form_is_refused_as_any_other(browser, encoding):
    """Without the token; at an address that there is, and at one that there is not."""
    browser.get("/sign-in/")  # only beside its cookie is a token looked for in the form
    said = {"Content-Type": f"{FORM}; charset={encoding}", "Referer": "https://localhost/"}
    for path, status in (("/sign-in/", 403), ("/nowhere/", 404)):
        answer = browser.call("POST", path, "username=rosa&password=%FF", **said)
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
def test_however_it_is_named(browser, parameter):
    answer = browser.get("/sign-in/?next=%FF", **{"Content-Type": FORM + parameter})
    assert answer.status == 200


def test_too_many_parameters_are_refused_whatever_it_is(browser):
    """Django counts them while it makes the request, where an encoding is named."""
    said = {"Content-Type": f"{FORM}; charset=utf-8"}
    answer = browser.get("/sign-in/?" + "x&" * 1001, **said)
    assert (answer.status, answer.headers["x-frame-options"]) == (400, "DENY")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_form_is_read_as_utf_8(browser, rosa, account, encoding):
    browser.sign_in()
    form = {"account": "acme", "name": "東京"}
    answer = browser.post(
        "/mailboxes/new/", form, **{"Content-Type": f"{FORM}; charset={encoding}"}
    )
    assert answer.status == 302
    assert Mailbox.objects.get().name == "東京"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_so_is_an_address(browser, account, encoding):
    said = {"Content-Type": f"application/json; charset={encoding}"}
    assert browser.get("/sign-in/?next=%FF", **said).status == 200
    Mailbox.objects.create(account=account, name="東京")
    answer = browser.get("/voip/mailbox?name=%E6%9D%B1%E4%BA%AC", **headers_for(account), **said)
    assert [mailbox["name"] for mailbox in answer.result] == ["東京"]
