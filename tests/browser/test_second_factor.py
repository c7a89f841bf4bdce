"""Second factor and lock-out in a real browser."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from tests.authenticator import AuthenticatorApp
from tests.browser.conftest import assert_accessible

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def sign_in(page, password="correct horse"):
    page.goto("/sign-in/?next=/changes/")
    page.get_by_label("Username").fill("rosa")
    page.get_by_label("Password").fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def send_code(page, code, button):
    page.get_by_role("textbox", name="Code").fill(code)
    page.get_by_role("button", name=button).click()


@pytest.fixture
def rosa(page):
    User.objects.create_superuser("rosa", password="correct horse", last_name="W" * 150)
    sign_in(page)


def copy_text(page):
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    return page.evaluate("navigator.clipboard.readText()")


def test_second_factor_is_set_up_used_and_turned_off(page, rosa):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="rosa").click()
    assert_accessible(page)
    page.get_by_role("button", name="Set it up").click()
    app = AuthenticatorApp(copy_text(page))
    image = page.get_by_role("img", name="QR code")
    assert image.evaluate("image => image.complete && image.naturalWidth > 0")
    assert_accessible(page)
    send_code(page, app.code(), "Turn it on")
    assert_accessible(page)
    codes = copy_text(page).split("\n")
    assert len(codes) == 10

    page.get_by_role("button", name="Sign out").click()
    sign_in(page)
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    send_code(page, "nonsense", "Continue")
    assert_accessible(page)
    send_code(page, app.code(ahead=1), "Continue")
    assert page.url.endswith("/changes/")

    page.goto("/me/")
    assert_accessible(page)
    page.get_by_role("link", name="New recovery codes").click()
    assert_accessible(page)
    page.goto("/me/")
    page.get_by_role("link", name="Turn it off").click()
    assert_accessible(page)
    send_code(page, app.code(ahead=2), "Turn it off")
    expect(page.get_by_role("button", name="Set it up")).to_be_visible()


def test_lock_out_page_is_accessible(page):
    for _ in range(5):
        sign_in(page, "wrong")
    expect(page.get_by_text("Try again in 15 minutes.")).to_be_visible()
    assert_accessible(
        page,
        ["Failed to load resource: the server responded with a status of 429 (Too Many Requests)"],
    )


def test_htmx_request_without_session_leads_to_sign_in(page, rosa):
    page.goto("/")
    page.context.clear_cookies()
    page.evaluate("htmx.ajax('GET', '/?q=sales', {target: '#main'})")
    page.wait_for_url("**/sign-in/?next=/")
