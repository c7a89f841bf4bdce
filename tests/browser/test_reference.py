"""The API reference and its page to try calls, in a real browser."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from mailboxes.models import Account
from tests.browser.conftest import assert_accessible
from tests.conftest import headers_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture
def docs(page):
    page.goto("/docs/")
    return page


def list_commands(page):
    """Return the titles of the visible commands."""
    return page.locator(".command:visible h3").all_inner_texts()


def test_filter_narrows_commands_and_contents(docs):
    docs.keyboard.press("/")
    docs.keyboard.type("put transcribe")
    assert list_commands(docs) == ["Updates the specified mailbox"]
    assert docs.locator(".contents li li:visible").count() == 1
    assert docs.locator(".filter [role=status]").inner_text() == "1 command matches"
    assert_accessible(docs)


def test_filter_finds_by_summary_path_and_field(docs):
    filter_box = docs.get_by_label("Filter:")
    for text, expected in {
        "credentials are good": ["Says whether credentials are good"],
        "/restore": ["Restores a deleted mailbox"],
        "EMAIL post": ["Adds an email recipient to a mailbox"],
    }.items():
        filter_box.fill(text)
        assert list_commands(docs) == expected


def test_escape_clears_the_filter(docs):
    all_commands = list_commands(docs)
    filter_box = docs.get_by_label("Filter:")
    filter_box.fill("fax")
    assert list_commands(docs) == []
    assert docs.locator(".filter [role=status]").inner_text() == "No command matches"
    filter_box.press("Escape")
    assert list_commands(docs) == all_commands
    expect(docs.get_by_role("heading", name="Credentials", exact=True)).to_be_visible()
    assert docs.locator(".filter [role=status]").inner_text() == ""


def test_samples_change_language_together_by_keyboard(docs):
    assert docs.locator("[data-language=python]:visible").count() == 0
    docs.get_by_label("curl").first.focus()
    docs.keyboard.press("ArrowRight")
    count = len(list_commands(docs))
    assert docs.locator("[data-language=python]:visible").count() == count
    assert docs.locator("[data-language]:visible").count() == count


def test_sample_is_copied(docs):
    docs.context.grant_permissions(["clipboard-read", "clipboard-write"])
    docs.get_by_role("button", name="Copy").first.click()
    docs.get_by_role("button", name="Copied").wait_for()
    copied = docs.evaluate("navigator.clipboard.readText()")
    assert copied == docs.locator("[data-language]:visible").first.text_content()


def test_page_works_without_javascript(browser, live_server):
    page = browser.new_context(base_url=live_server.url, java_script_enabled=False).new_page()
    page.goto("/docs/")
    expect(page.get_by_label("Filter:")).to_be_hidden()
    assert page.get_by_role("button", name="Copy").count() == 0
    page.get_by_text("PHP").first.click()
    assert page.locator("[data-language=php]:visible").count() == 1
    page.context.close()


def test_call_with_a_bearer_credential_is_answered(page):
    secret = headers_for(Account.objects.create(name="acme"))["X-Auth-Password"]
    page.goto("/docs/try/")
    page.get_by_role("button", name="Authorize").click()
    bearer = page.locator(".auth-container", has_text="bearer")
    bearer.get_by_role("textbox").fill(secret)
    bearer.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").last.click()
    operation = page.locator("#operations-Authentication-check_credentials")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response")
    assert answer.locator(".response-col_status").inner_text().startswith("200")
    assert '"status_message": "OK"' in answer.inner_text()
    assert page.console_messages == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_schema_names_have_enough_contrast(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto("/docs/try/")
    page.locator(".json-schema-2020-12-accordion", has_text="MailboxRequest").first.click()
    results = Axe().run(page, "section.models", {"runOnly": ["color-contrast"]})
    assert results.response["passes"]
    assert [rule["nodes"] for rule in results.response["violations"]] == []
    assert page.console_messages == []


def test_try_page_lists_every_command(docs):
    all_commands = set(list_commands(docs))
    docs.goto("/docs/try/")
    docs.locator(".opblock").first.wait_for()
    assert set(docs.locator(".opblock-summary-description").all_inner_texts()) == all_commands
    assert docs.console_messages == []
