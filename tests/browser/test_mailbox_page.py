"""The page of one mailbox in a real browser: what was typed, deletions, double clicks."""

import pytest
from playwright.sync_api import expect

from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.browser.conftest import assert_accessible, sign_in
from tests.console.conftest import DELETED

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture
def sales(rosa):
    mailbox = Mailbox(account=Account.objects.create(name="acme"), name="Sales")
    mailbox.password = "7392"
    mailbox.save()
    return mailbox


@pytest.fixture
def asked(page):
    """Return the questions about leaving the page; each is answered with No."""
    asked = []

    def answer(dialog):
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", answer)
    return asked


def press(page, name):
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def test_leaving_after_the_pass_code_was_hidden_again_asks_nothing(page, sales, asked):
    page.goto(f"/mailboxes/{sales.pk}/")
    code = page.get_by_label("Pass code")
    press(page, "Show")
    expect(code).to_have_value("7392")
    assert_accessible(page)
    press(page, "Hide")
    expect(code).to_have_value("••••")
    expect(page.get_by_role("button", name="Show")).to_be_visible()
    page.get_by_role("link", name="History").click()
    page.get_by_role("heading", name="History of Sales").wait_for()
    assert asked == []


def test_edit_removes_the_success_message_and_leaving_asks(page, sales, asked):
    page.goto(f"/mailboxes/{sales.pk}/")
    page.get_by_label("Name").fill("Support")
    press(page, "Save")
    expect(page.get_by_text("Saved: “Support”.")).to_be_visible()
    page.get_by_label("Name").fill("Service")
    assert page.get_by_text("Saved: “Support”.").count() == 0
    page.get_by_role("link", name="History").click()
    page.wait_for_timeout(200)
    assert asked == ["beforeunload"]
    assert page.get_by_label("Name").input_value() == "Service"
    press(page, "Save")
    expect(page.get_by_text("Saved: “Service”.")).to_be_visible()
    press(page, "Suggest a pass code")
    expect(page.get_by_label("Pass code")).not_to_have_value("••••")
    page.get_by_role("link", name="History").click()
    page.wait_for_timeout(200)
    assert asked == ["beforeunload"] * 2


def test_keep_theirs_leaves_the_conflict_without_a_question(page, sales, asked):
    for address in (f"/mailboxes/{sales.pk}/", f"/admin/mailboxes/mailbox/{sales.pk}/change/"):
        page.goto(address)
        page.locator("[name=name]").fill("Mine")
        theirs = Mailbox.objects.get()
        theirs.name = f"Theirs at {address[:6]}"
        theirs.save()
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_role("link", name="Keep theirs").click()
        expect(page.get_by_role("link", name="Keep theirs")).to_have_count(0)
        expect(page.locator("[name=name]")).to_have_value(theirs.name)
    assert asked == []
    assert Mailbox.objects.get().name == theirs.name


@pytest.mark.parametrize("button", ["Show", "Suggest a pass code", "Add", "Save"])
def test_mailbox_deleted_meanwhile_is_restored_and_saved(page, sales, asked, button):
    page.goto(f"/mailboxes/{sales.pk}/")
    page.get_by_label("Name").fill("Typed")
    if button == "Add":
        page.get_by_label("Email address").fill("ann@acme.example")
    sales.soft_delete()
    page.set_viewport_size({"width": 375, "height": 400})
    press(page, button)
    expect(page.get_by_text(DELETED)).to_be_in_viewport()
    assert page.get_by_label("Name").input_value() == "Typed"
    assert_accessible(page)
    press(page, "Restore")
    expect(page.get_by_text("Restored: “Sales”.")).to_be_visible()
    assert page.get_by_label("Name").input_value() == "Typed"
    if button == "Add":
        press(page, "Add")
        page.get_by_text("1 / 50").wait_for()
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_text("Saved: “Typed”.")).to_be_visible()
    assert not Mailbox.objects.get().is_deleted
    assert asked == []


def test_whole_row_opens_the_mailbox_and_deletion_leads_back(page, sales):
    page.goto("/?q=acme")
    row = page.locator("tr[data-row]")
    assert row.locator("a").count() == 1
    row.locator(".account-name").click()
    press(page, "Delete")
    expect(page.get_by_text("Deleted: “Sales”.")).to_be_visible()
    assert page.url.endswith("/?q=acme")
    page.get_by_role("link", name="Deleted", exact=True).click()
    expect(page.get_by_role("columnheader", name="Days left")).to_be_visible()
    assert_accessible(page)
    page.get_by_label("Select Sales").check()
    assert "/?" in page.url  # the checkbox does not open the mailbox


@pytest.mark.parametrize("scripts", [True, False])
def test_double_click_creates_one_mailbox(browser, live_server, scripts):
    Account.objects.create(name="acme")
    context = browser.new_context(base_url=live_server.url, java_script_enabled=scripts)
    page = context.new_page()
    sign_in(page, "rosa")
    page.goto("/mailboxes/new/")
    page.get_by_label("Account").fill("acme")
    page.get_by_label("Name").fill("Sales")
    page.get_by_label("Recipients").fill("ann@acme.example")
    page.get_by_role("main").get_by_role("button", name="Create").dblclick()
    expect(page.get_by_text("Created: “Sales”.")).to_be_visible()
    assert (Mailbox.objects.count(), EmailRecipient.objects.count()) == (1, 1)
    context.close()
