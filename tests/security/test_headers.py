"""Security headers and cookies of every address, as a scanner would check them."""

import re

import pytest
from django.test import Client

from mailboxes import contract
from tests.conftest import headers_for
from tests.security.addresses import build_addresses

pytestmark = pytest.mark.django_db(transaction=True)

EXPECTED = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "strict-transport-security": "max-age=3600",
    "access-control-allow-origin": None,
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

# The pages that record with the microphone, and play what they have recorded.
RECORDING = re.compile("/accounts/acme/greetings/(new|[^/]+/replace)/")
OF_RECORDING = {
    "content-security-policy": f"{EXPECTED['content-security-policy']}; media-src 'self' blob:",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self), payment=(), usb=()",
}

PUBLIC = {"/voip/schema"}  # the same for everybody, and without a secret


def find_faults(answer, is_cacheable=False) -> dict:
    """Return the headers that differ from EXPECTED. Caches may keep what is_cacheable only."""
    found = {name: answer.headers.get(name) for name in EXPECTED}
    wrong = {name: value for name, value in found.items() if value != EXPECTED[name]}
    caching = answer.headers.get("cache-control", "")
    if is_cacheable == ("no-store" in caching):
        wrong["cache-control"] = caching
    return wrong


def find_all_faults(browser, rows) -> dict:
    """Return each faulty address with its status and wrong headers. A crash is a fault too."""
    answers = {address: browser.get(address) for address in build_addresses(rows)}
    found = {
        address: (answer.status, find_faults(answer, is_cacheable=address in PUBLIC))
        for address, answer in answers.items()
    }
    return {address: fault for address, fault in found.items() if fault[1] or fault[0] >= 500}


def test_security_headers_are_set_for_anonymous_visitors(browser, rows):
    assert len(build_addresses(rows)) > 100
    assert find_all_faults(browser, rows) == {}


def test_security_headers_and_cookie_flags_are_set_for_staff(browser, rows):
    assert browser.sign_in().status == 302
    faults = find_all_faults(browser, rows)
    recording = {
        address: faults.pop(address) for address in list(faults) if RECORDING.match(address)
    }
    assert faults == {}
    assert list(recording.values()) == [(200, OF_RECORDING)] * 2
    cookies = [cookie for cookie in browser.received if cookie.value]  # an empty one is deleted
    assert {cookie.key for cookie in cookies} == {"sessionid", "csrftoken", "messages"}
    for cookie in cookies:
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
        assert (cookie["path"], cookie["domain"]) == ("/", "")


def test_answers_of_the_api_are_not_cached(browser, rows):
    """A cache could not tell callers apart: they send neither a cookie nor Authorization."""
    credential = headers_for(rows["account"])
    answer = browser.get("/voip/mailbox", **credential)
    assert (answer.status, find_faults(answer)) == (200, {})
    answer = browser.get("/voip/mailbox", **credential, **{"If-None-Match": answer.headers["etag"]})
    assert (answer.status, find_faults(answer)) == (304, {})


ERRORS = {
    "an unknown page": (404, "/nowhere/", {}),
    "an unknown call": (404, "/voip/nowhere", {}),
    "an unknown file": (404, "/static/nowhere.css", {}),
    "a wrong host": (400, "/sign-in/", {"Host": "evil.example"}),
    "a wrong host on the API": (400, "/voip/mailbox", {"Host": "evil.example"}),
    "a wrong method": (405, "/sign-out/", {}),
}


@pytest.mark.parametrize(("status", "path", "headers"), ERRORS.values(), ids=ERRORS.keys())
def test_refusal_has_security_headers(browser, status, path, headers):
    answer = browser.get(path, **headers)
    assert (answer.status, find_faults(answer)) == (status, {})


@pytest.mark.parametrize("path", [f"/{name}" for name in contract.HEALTH.split("|")])
def test_health_check_has_security_headers(browser, path):
    answer = browser.get(path, Host="192.0.2.1")
    assert (answer.status, find_faults(answer)) == (200, {})


def test_refused_form_has_security_headers(browser):
    answer = browser.post("/sign-in/", {"username": "rosa"})
    assert (answer.status, find_faults(answer)) == (403, {})


def test_forbidden_page_has_security_headers(browser, rosa, account):
    type(rosa).objects.update(is_superuser=False)
    browser.sign_in()
    answer = browser.get("/accounts/-/new/")
    assert (answer.status, find_faults(answer)) == (403, {})


def test_crash_has_security_headers(settings):
    settings.SECURE_HSTS_SECONDS = 3600
    settings.ROOT_URLCONF = "tests.console.test_error_pages"
    answer = Client(raise_request_exception=False).get("/crash/", secure=True)
    assert (answer.status_code, find_faults(answer)) == (500, {})


def test_static_file_has_security_headers_and_is_cached(browser):
    answer = browser.get("/static/img/logo.svg")
    assert (answer.status, find_faults(answer, is_cacheable=True)) == (200, {})
    assert "public" in answer.headers["cache-control"]
