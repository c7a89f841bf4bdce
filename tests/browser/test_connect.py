"""Connect a telephone engine, in a real browser."""

import pytest
from playwright.sync_api import expect

from mailboxes.models import Account, ApiCredential
from tests.browser.conftest import assert_accessible, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def test_public_page_is_accessible(page):
    page.goto("/docs/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Connect your PBX").click()
    expect(page.get_by_role("heading", name="FreeSWITCH")).to_be_visible()
    assert_accessible(page)


def test_configuration_file_is_copied(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/docs/connect/")
    page.get_by_role("button", name="Copy extconfig.conf").click()
    page.get_by_text("Copied", exact=True).wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator('[id="extconfig.conf"]').text_content()


def test_manager_connects_an_engine(page):
    sign_in(page, "rosa", "Manager")
    Account.objects.create(name="acme")
    page.goto("/accounts/acme/")
    assert_accessible(page)
    page.get_by_role("main").get_by_role("link", name="Connect your PBX").click()
    expect(page.get_by_label("For a telephone engine")).to_be_checked()
    assert_accessible(page)
    page.get_by_label("Name").fill("pbx-1")
    page.get_by_role("button", name="Issue the credential").click()
    page.get_by_text("Files for Asterisk").click()
    page.get_by_text("Files for FreeSWITCH").click()
    secret = page.locator("#secret").inner_text()
    expect(page.locator('[id="res_curl.conf"]')).to_contain_text(f"userpwd=pbx-1:{secret}")
    assert_accessible(page)
    assert ApiCredential.objects.authenticate(secret, name="pbx-1", is_engine=True) is not None
