"""No address of ours leads to another host, however `next` is written: the link would carry our name."""

from urllib.parse import urljoin, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from mailboxes.staff import second_factor
from mailboxes.staff.second_factor import format_key
from tests.authenticator import AuthenticatorApp
from tests.security.browser import HOST, PASSWORD

pytestmark = pytest.mark.django_db

ELSEWHERE = [
    "https://evil.example/",
    "http://localhost:81/",  # another port is another site
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "HTTPS://EVIL.EXAMPLE",
    " //evil.example",
    "\t//evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\x00//evil.example",
    "\x08//evil.example",
    "//evil.example\\@localhost",
    "//localhost@evil.example",
    "https://localhost.evil.example",
    "//[::1",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "%2f%2fevil.example",
]


def leads_to(location) -> str:
    """The host that a browser goes to: it takes \\ for /, and leaves out blanks and control characters."""
    seen = "".join(letter for letter in location if letter > " ").replace("\\", "/")
    return urlsplit(urljoin(f"https://{HOST}/sign-in/", seen)).netloc


@pytest.fixture
def visitor(rosa):
    rosa.set_password(PASSWORD)
    rosa.save()
    return Client(SERVER_NAME=HOST)


def sign_in(visitor, next_page="/"):
    form = {"username": "rosa", "password": PASSWORD, "next": next_page}
    return visitor.post("/sign-in/", form)


def assert_stays(answers):
    hosts = {asked: leads_to(answer.headers["Location"]) for asked, answer in answers.items()}
    assert hosts == dict.fromkeys(ELSEWHERE, HOST)


def test_what_is_tried_would_lead_elsewhere():
    assert leads_to("/\\evil.example") == leads_to("/\t/evil.example") == "evil.example"


def test_signing_in(visitor):
    assert_stays({elsewhere: sign_in(visitor, elsewhere) for elsewhere in ELSEWHERE})


def test_signing_out(visitor):
    assert_stays({x: visitor.post("/sign-out/", {"next": x}) for x in ELSEWHERE})


def test_the_second_factor(visitor, rosa):
    second_factor.confirm_authenticator(
        rosa, AuthenticatorApp(format_key(second_factor.start_set_up(rosa))).code()
    )
    answers = {}
    for elsewhere in ELSEWHERE:
        sign_in(visitor)
        form = {"code": second_factor.create_recovery_codes(rosa)[0], "next": elsewhere}
        answers[elsewhere] = visitor.post("/sign-in/code/", form)
    assert_stays(answers)


def test_what_a_form_of_the_console_asks_for(visitor, rows):
    sign_in(visitor)
    address = reverse("console:mailbox-delete", args=[rows["mailbox"].pk])
    assert_stays({x: visitor.post(address, {"next": x}) for x in ELSEWHERE})


@pytest.mark.parametrize(
    "path", ["//evil.example", "///evil.example", "/\\evil.example", "//evil.example/.."]
)
def test_a_path_that_looks_like_a_host(wire, path):
    """A slash is added to a path that has none: not to make a host of the path."""
    assert leads_to(wire.get(path).headers.get("location", "/")) == HOST
