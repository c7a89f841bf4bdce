"""What a scanner looks at: headers and cookies of every address, in production, for strangers and for staff."""

import pytest
from django.test import Client

from mailboxes import contract
from tests.conftest import headers_for
from tests.security.addresses import addresses

pytestmark = pytest.mark.django_db(transaction=True)

EXPECTED = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
    "access-control-allow-origin": None,
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def faults(answer, is_kept=False) -> dict:
    """The headers that are not as expected. Only files are kept by caches."""
    found = {name: answer.headers.get(name) for name in EXPECTED}
    wrong = {name: value for name, value in found.items() if value != EXPECTED[name]}
    caching = answer.headers.get("cache-control", "")
    if is_kept == ("no-store" in caching):
        wrong["cache-control"] = caching
    return wrong


def faults_of_all(browser, rows) -> dict:
    """By address: what is wrong, and with which status. A crash is a fault too."""
    answers = {address: browser.get(address) for address in addresses(rows)}
    wrong = {address: (answer.status, faults(answer)) for address, answer in answers.items()}
    return {address: wrong for address, wrong in wrong.items() if wrong[1] or wrong[0] >= 500}


def test_every_address_for_a_stranger(browser, rows):
    assert len(addresses(rows)) > 100
    assert faults_of_all(browser, rows) == {}


def test_every_address_for_staff(browser, rows):
    """And every cookie given on the way: sent by HTTPS alone, and shown to no script."""
    assert browser.sign_in().status == 302
    assert faults_of_all(browser, rows) == {}
    given = [cookie for cookie in browser.given if cookie.value]  # without one it is taken away
    assert {cookie.key for cookie in given} == {"sessionid", "csrftoken", "messages"}
    for cookie in given:
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
        assert (cookie["path"], cookie["domain"]) == ("/", "")


def test_a_call_that_is_answered(browser, rows):
    """No cache keeps pass codes, and none tells callers apart: they show no cookie and no Authorization."""
    credential = headers_for(rows["account"])
    answer = browser.get("/voip/mailbox", **credential)
    assert (answer.status, faults(answer)) == (200, {})
    answer = browser.get("/voip/mailbox", **credential, **{"If-None-Match": answer.headers["etag"]})
    assert (answer.status, faults(answer)) == (304, {})


ERRORS = {
    "an unknown page": (404, "/nowhere/", {}),
    "an unknown call": (404, "/voip/nowhere", {}),
    "an unknown file": (404, "/static/nowhere.css", {}),
    "a wrong host": (400, "/sign-in/", {"Host": "evil.example"}),
    "a wrong host on the API": (400, "/voip/mailbox", {"Host": "evil.example"}),
    "a wrong method": (405, "/sign-out/", {}),
}


@pytest.mark.parametrize(("status", "path", "headers"), ERRORS.values(), ids=ERRORS.keys())
def test_refusals(browser, status, path, headers):
    answer = browser.get(path, **headers)
    assert (answer.status, faults(answer)) == (status, {})


@pytest.mark.parametrize("path", [f"/{name}" for name in contract.HEALTH.split("|")])
def test_health(browser, path):
    answer = browser.get(path, Host="192.0.2.1")
    assert (answer.status, faults(answer)) == (200, {})


def test_a_form_without_its_token(browser):
    answer = browser.post("/sign-in/", {"username": "rosa"})
    assert (answer.status, faults(answer)) == (403, {})


def test_who_may_not_see_a_page(browser, rosa, account):
    type(rosa).objects.update(is_superuser=False)
    browser.sign_in()
    answer = browser.get("/accounts/-/new/")
    assert (answer.status, faults(answer)) == (403, {})


def test_a_crash(settings):
    """All that stands before the views, round one that breaks."""
    settings.SECURE_HSTS_SECONDS = 365 * 24 * 3600
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    settings.ROOT_URLCONF = "tests.console.test_error_pages"
    answer = Client(raise_request_exception=False).get("/crash/", secure=True)
    assert (answer.status_code, faults(answer)) == (500, {})


def test_a_file(browser):
    answer = browser.get("/static/img/logo.svg")
    assert (answer.status, faults(answer, is_kept=True)) == (200, {})
    assert "public" in answer.headers["cache-control"]
