"""Accounts and credentials in a real browser."""

import re
from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from playwright.sync_api import expect

from mailboxes.models import Account, ApiCredential, Mailbox
from tests.browser.conftest import assert_accessible, sign_in
from tests.service import OverSocket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture
def manager(page):
    sign_in(page, "mona", "Manager")


@pytest.fixture
def tree(db):
    """Create six levels of accounts, one suspended, one with the longest name; return acme."""
    account = None
    for name in ("telco", "acme", "beta", "gamma", "delta", "a" * 64):
        account = Account.objects.create(name=name, contact_name="Ann Adams", reseller=account)
    Account.objects.get(name="gamma").suspend()
    return Account.objects.get(name="acme")


@pytest.fixture
def service(live_server, page):
    """Return a function that makes a client with the secret shown on the page."""

    def call():
        headers = {
            "X-Auth-Reseller": "acme",
            "X-Auth-User": "pbx",
            "X-Auth-Password": page.locator("#secret").inner_text(),
        }
        return OverSocket(headers, port=live_server.thread.port)

    return call


def test_credential_is_issued_used_and_revoked(page, manager, tree, service):
    page.get_by_role("link", name="Accounts").click()
    page.get_by_role("link", name="acme", exact=True).click()
    page.get_by_role("link", name="Issue a credential").click()
    page.get_by_label("Name").fill("pbx")
    page.get_by_label("Networks").fill("127.0.0.0/8")
    page.get_by_label("Expires (UTC)").fill("2997-01-31T12:00")
    page.get_by_role("button", name="Issue the credential").click()
    expect(
        page.get_by_text("You can reload this page for a minute; after that, nobody can see")
    ).to_be_visible()
    program = service()
    assert program.get("/authenticated").status == 200

    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name="Revoke pbx").click()
    expect(page.get_by_text("Every program that uses pbx")).to_be_visible()
    page.get_by_role("button", name="Revoke the credential").click()
    expect(page.get_by_role("status").filter(has_text="was revoked")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("pbx")).get_by_text("Revoked")).to_be_visible()
    assert program.get("/authenticated").status == 401
    program.close()


def test_secret_and_sample_call_are_copied(page, manager, tree):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/accounts/acme/credentials/new/")
    page.get_by_label("Name").fill("pbx")
    page.get_by_role("button", name="Issue the credential").click()
    secret = page.locator("#secret").inner_text()
    page.get_by_role("button", name="Copy the secret").click()
    expect(page.get_by_role("button", name="Copy the secret")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == secret
    page.get_by_role("button", name="Copy the call").click()
    expect(page.get_by_role("button", name="Copy the call")).to_have_text("Copied")
    call = page.evaluate("navigator.clipboard.readText()")
    assert call.startswith(f"curl -sS {page.url.partition('/accounts/')[0]}/authenticated \\\n")
    assert secret in call


def test_double_click_still_shows_the_secret(page, manager, tree):
    page.goto("/accounts/acme/credentials/new/")
    page.get_by_label("Name").fill("pbx")
    page.get_by_role("button", name="Issue the credential").dblclick()
    page.locator("#secret").wait_for()
    assert ApiCredential.objects.authenticate(page.locator("#secret").inner_text())


def test_search_narrows_while_typing(page, manager, tree):
    page.goto("/accounts/")
    page.get_by_role("link", name="telco", exact=True).wait_for()
    page.keyboard.press("/")
    page.keyboard.type("bet")
    page.get_by_role("link", name="telco", exact=True).wait_for(state="detached")
    expect(page.get_by_role("row", name="telco / acme / beta")).to_be_visible()
    assert page.locator("#result-count").inner_text() == "1 account"
    assert page.url.endswith("/accounts/?q=bet")
    assert page.evaluate("document.activeElement.id") == "q"
    page.get_by_role("link", name="Suspended", exact=True).click()
    page.wait_for_url("**/accounts/?q=bet&state=suspended")
    expect(page.get_by_role("heading", name="No account matches")).to_be_visible()
    page.go_back()
    page.go_back()
    page.get_by_role("link", name="telco", exact=True).wait_for()
    assert page.console_messages == []


def test_names_are_suggested_while_typing(page, manager, tree):
    page.goto("/accounts/-/new/")
    page.get_by_label("Reseller").press_sequentially("gam")
    page.locator("datalist option[value=gamma]:only-child").wait_for(state="attached")
    assert page.url.endswith("/accounts/-/new/")
    assert page.console_messages == []


def test_account_is_suspended_and_reactivated(page, manager, tree):
    page.goto("/accounts/acme/")
    page.get_by_role("link", name="Suspend").click()
    assert_accessible(page)
    page.get_by_role("button", name="Suspend the account").click()
    expect(page.get_by_text("This account is suspended")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("link", name="Reactivate").click()
    assert_accessible(page)
    page.get_by_role("button", name="Reactivate the account").click()
    expect(page.get_by_text("This account is suspended")).to_be_hidden()


def test_lists_are_accessible(page, manager, tree):
    for address in ("/accounts/", "/accounts/?q=a", "/accounts/acme/customers/", "/accounts/?q=x"):
        page.goto(address)
        assert_accessible(page)


def test_account_page_is_accessible(page, manager, tree):
    page.goto("/accounts/delta/")
    assert_accessible(page)
    for name, networks in (("pbx", ""), ("n" * 64, "192.0.2.0/24, " * 8 + "2001:db8::/32")):
        ApiCredential.objects.issue(tree, name, networks)
    ApiCredential.objects.get(name="pbx").revoke()
    Mailbox.objects.create(account=tree, name="W" * 100)
    page.goto("/accounts/acme/")
    assert_accessible(page)


def test_forms_are_accessible(page, manager, tree):
    credential, _ = ApiCredential.objects.issue(tree, "n" * 64)
    page.goto("/accounts/acme/edit/")
    assert_accessible(page)
    page.goto(f"/accounts/acme/credentials/{credential.pk}/edit/")
    assert_accessible(page)
    page.goto(f"/accounts/acme/credentials/{credential.pk}/revoke/")
    assert_accessible(page)


def test_form_errors_are_accessible(page, manager, tree):
    page.goto("/accounts/-/new/")
    page.get_by_label("Reseller").fill("nobody")
    page.get_by_label("Name", exact=False).first.fill("A B")
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_text("There is no account “nobody”")).to_be_visible()
    assert_accessible(page)
    page.goto("/accounts/acme/credentials/new/")
    page.get_by_label("Name").fill("two words")
    page.get_by_role("button", name="Issue the credential").click()
    assert_accessible(page)
    page.get_by_label("Name").fill("pbx")
    page.get_by_role("button", name="Issue the credential").click()
    page.locator("#secret").wait_for()
    assert_accessible(page)


def test_account_is_deleted_after_its_page_says_what_goes(page, manager, tree):
    ApiCredential.objects.issue(Account.objects.get(name="delta"), "api")
    Account.objects.get(name="a" * 64).delete()
    page.goto("/accounts/acme/delete/")
    expect(page.get_by_text("This account cannot be deleted:")).to_be_visible()
    assert_accessible(page)
    page.goto("/accounts/delta/")
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text("Its credential is removed, and refused at once:")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Delete the account").click()
    expect(page.get_by_text("Account delta was deleted.")).to_be_visible()
    assert not Account.objects.filter(name="delta").exists()


def test_field_that_was_not_edited_keeps_what_somebody_else_saved(page, manager, tree):
    """The form has each value twice, the second one as it was when the page was loaded."""
    expiry = datetime(2997, 1, 31, 12, 0, 30, 123, tzinfo=UTC)
    credential, _ = ApiCredential.objects.issue(tree, "pbx", "192.0.2.1", expiry)
    page.goto(f"/accounts/acme/credentials/{credential.pk}/edit/")
    page.get_by_label("Networks").fill("192.0.2.2")
    ApiCredential.objects.update(expires_at=None)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Credential “pbx” was changed.")).to_be_visible()
    credential.refresh_from_db()
    assert (credential.networks, credential.expires_at) == ("192.0.2.2", None)
    assert LogEntry.objects.get().get_change_message() == "Changed Networks."
