"""Session keys: each sign-in step makes a new one, and ended ones open nothing."""

import pytest
from django.contrib.sessions.backends.db import SessionStore

from mailboxes.staff import second_factor
from tests.authenticator import AuthenticatorApp
from tests.security.browser import PASSWORD, Browser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def staff_browser(browser, rosa):
    """Rosa's browser, signed in."""
    assert browser.sign_in().headers["location"] == "/"
    return browser


def is_valid_key(production, key) -> bool:
    """Return True if another browser with this session key is signed in."""
    with Browser(production.port) as browser:
        browser.cookies["sessionid"] = key
        return browser.get("/me/").status == 200


def test_session_key_planted_before_sign_in_is_invalid(browser, production, rosa):
    ours = SessionStore()
    ours.create()
    for planted in ("x" * 32, ours.session_key):
        browser.cookies["sessionid"] = planted
        browser.sign_in()
        assert browser.cookies["sessionid"] != planted
        assert not is_valid_key(production, planted)


@pytest.mark.parametrize(
    "key", ['"\\000aaaaaaa"', '"\\303\\050aaaaaaa"', "%00aaaaaaa", "é" * 8, "'" * 8]
)
def test_malformed_session_key_is_invalid_and_causes_no_error(production, key):
    """PostgreSQL would raise an error for some of them."""
    with Browser(production.port) as browser:
        browser.cookies["sessionid"] = key
        assert browser.get("/me/").status == 302


def test_session_key_from_before_the_second_factor_is_invalid(browser, production, rosa):
    app = AuthenticatorApp(second_factor.format_key(second_factor.start_set_up(rosa)))
    second_factor.confirm_authenticator(rosa, app.code())
    browser.sign_in()
    before = browser.cookies["sessionid"]
    assert not is_valid_key(production, before)
    assert browser.post("/sign-in/code/", {"code": app.code(ahead=1)}).status == 302
    assert is_valid_key(production, browser.cookies["sessionid"])
    assert not is_valid_key(production, before)


def test_sign_out_ends_the_session(staff_browser, production):
    key = staff_browser.cookies["sessionid"]
    assert is_valid_key(production, key)
    assert staff_browser.post("/sign-out/").status == 302
    assert not is_valid_key(production, key)


def test_new_password_ends_all_other_sessions(staff_browser, production):
    with Browser(production.port) as other:
        other.sign_in()
        other_key = other.cookies["sessionid"]
    before = staff_browser.cookies["sessionid"]
    typed = {"old_password": PASSWORD, "new_password1": "battery staple"}
    staff_browser.post("/me/password/", typed | {"new_password2": "battery staple"})
    assert not is_valid_key(production, other_key)
    assert not is_valid_key(production, before)
    assert is_valid_key(production, staff_browser.cookies["sessionid"])


def test_deactivated_user_is_signed_out_at_once(staff_browser, production, rosa):
    type(rosa).objects.update(is_active=False)
    assert not is_valid_key(production, staff_browser.cookies["sessionid"])
