"""Open redirects: no address redirects to another host, however `next` is written."""

from urllib.parse import urljoin, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from mailboxes.models import Batch, Mailbox
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


def get_target_host(location) -> str:
    """Return the host that a browser opens. It reads \\ as /, and skips blanks and controls."""
    read = "".join(letter for letter in location if letter > " ").replace("\\", "/")
    return urlsplit(urljoin(f"https://{HOST}/sign-in/", read)).netloc


@pytest.fixture
def visitor(rosa):
    rosa.set_password(PASSWORD)
    rosa.save()
    return Client(SERVER_NAME=HOST)


def sign_in(visitor, next_page="/"):
    form = {"username": "rosa", "password": PASSWORD, "next": next_page}
    return visitor.post("/sign-in/", form)


def assert_stays_here(answers):
    """Check that each answer redirects to this host. The keys are the targets of `next`."""
    hosts = {
        target: get_target_host(answer.headers["Location"]) for target, answer in answers.items()
    }
    assert hosts == dict.fromkeys(ELSEWHERE, HOST)


def test_hostile_targets_are_other_hosts_for_a_browser():
    targets = ["/\\evil.example", "/\t/evil.example"]
    assert {get_target_host(target) for target in targets} == {"evil.example"}


def test_sign_in_redirects_to_this_host_only(visitor):
    assert_stays_here({target: sign_in(visitor, target) for target in ELSEWHERE})


def test_sign_out_redirects_to_this_host_only(visitor):
    assert_stays_here({x: visitor.post("/sign-out/", {"next": x}) for x in ELSEWHERE})


def test_second_factor_redirects_to_this_host_only(visitor, rosa):
    second_factor.confirm_authenticator(
        rosa, AuthenticatorApp(format_key(second_factor.start_set_up(rosa))).code()
    )
    answers = {}
    for target in ELSEWHERE:
        sign_in(visitor)
        form = {"code": second_factor.create_recovery_codes(rosa)[0], "next": target}
        answers[target] = visitor.post("/sign-in/code/", form)
    assert_stays_here(answers)


def test_form_of_the_console_redirects_to_this_host_only(visitor, rows):
    sign_in(visitor)
    address = reverse("console:mailbox-delete", args=[rows["mailbox"].pk])
    assert_stays_here({x: visitor.post(address, {"next": x}) for x in ELSEWHERE})


@pytest.mark.parametrize("target", ["nowhere", "authenticated"])
def test_target_without_a_slash_is_no_name_of_a_page(visitor, rosa, account, target):
    second_factor.confirm_authenticator(
        rosa, AuthenticatorApp(format_key(second_factor.start_set_up(rosa))).code()
    )
    sign_in(visitor)
    form = {"code": second_factor.create_recovery_codes(rosa)[0], "next": target}
    assert visitor.post("/sign-in/code/", form).url == target
    sales = Mailbox.objects.create(account=account, name="Sales")
    visitor.post(reverse("console:mailbox-delete", args=[sales.pk]))
    undo = reverse("console:undo", args=[Batch.objects.get().pk])
    assert visitor.post(undo, {"next": target}).url == target
    visitor.handler.enforce_csrf_checks = True
    second_tab = visitor.post("/sign-in/", {"username": "rosa", "next": target})
    assert second_tab.url == target


@pytest.mark.parametrize(
    "path", ["//evil.example", "///evil.example", "/\\evil.example", "//evil.example/.."]
)
def test_path_that_looks_like_a_host_redirects_to_this_host_only(wire, path):
    """The redirect that adds a missing slash must not turn the path into a host."""
    assert get_target_host(wire.get(path).headers.get("location", "/")) == HOST
