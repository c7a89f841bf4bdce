"""A session begins anew at each step up, and is dead once it has ended: no key known before opens anything after."""

import pytest
from django.contrib.sessions.backends.db import SessionStore

from mailboxes.staff import second_factor
from tests.authenticator import AuthenticatorApp
from tests.security.browser import PASSWORD, Browser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rosas(browser, rosa):
    """Rosa's browser, signed in."""
    assert browser.sign_in().headers["location"] == "/"
    return browser


def opens(production, key) -> bool:
    """Whether another browser gets in with the session's key."""
    with Browser(production.port) as browser:
        browser.cookies["sessionid"] = key
        return browser.get("/me/").status == 200


def test_a_key_planted_before_signing_in_opens_nothing(browser, production, rosa):
    ours = SessionStore()
    ours.create()
    for planted in ("x" * 32, ours.session_key):
        browser.cookies["sessionid"] = planted
        browser.sign_in()
        assert browser.cookies["sessionid"] != planted
        assert not opens(production, planted)


@pytest.mark.parametrize(
    "key", ['"\\000aaaaaaa"', '"\\303\\050aaaaaaa"', "%00aaaaaaa", "é" * 8, "'" * 8]
)
def test_a_key_that_can_be_none_opens_nothing(production, key):
    """And breaks nothing: PostgreSQL would not look for some of them."""
    with Browser(production.port) as browser:
        browser.cookies["sessionid"] = key
        assert browser.get("/me/").status == 302


def test_the_key_from_before_the_code_opens_nothing(browser, production, rosa):
    app = AuthenticatorApp(second_factor.format_key(second_factor.start_set_up(rosa)))
    second_factor.confirm_authenticator(rosa, app.code())
    browser.sign_in()
    before = browser.cookies["sessionid"]
    assert not opens(production, before)
    assert browser.post("/sign-in/code/", {"code": app.code(ahead=1)}).status == 302
    assert opens(production, browser.cookies["sessionid"])
    assert not opens(production, before)


def test_signing_out_ends_it_for_good(rosas, production):
    key = rosas.cookies["sessionid"]
    assert opens(production, key)
    assert rosas.post("/sign-out/").status == 302
    assert not opens(production, key)


def test_a_new_password_ends_every_session_but_this_one(rosas, production):
    with Browser(production.port) as elsewhere:
        elsewhere.sign_in()
        left_open = elsewhere.cookies["sessionid"]
    before = rosas.cookies["sessionid"]
    typed = {"old_password": PASSWORD, "new_password1": "battery staple"}
    rosas.post("/me/password/", typed | {"new_password2": "battery staple"})
    assert not opens(production, left_open)
    assert not opens(production, before)
    assert opens(production, rosas.cookies["sessionid"])


def test_who_is_no_staff_any_more_is_out_at_once(rosas, production, rosa):
    type(rosa).objects.update(is_active=False)
    assert not opens(production, rosas.cookies["sessionid"])
