"""Accessibility of single pages in a real browser."""

from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from mailboxes import batches
from mailboxes.history import reveal_pass_code
from mailboxes.models import Account, ApiCredential, Batch, Mailbox
from tests.browser.conftest import assert_accessible
from tests.delivery.running import fail_task
from tests.histories import rename_often
from tests.messages import leave_message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def test_sign_in_page_is_accessible(page):
    page.goto("/")
    assert_accessible(page)
    page.get_by_label("Username").fill("rosa")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert_accessible(page)


def test_mailbox_table_is_accessible(page, rosa):
    account = Account.objects.create(name="acme")
    Account.objects.create(name="a" * 64).suspend()
    for name, code in (("Sales", "1234"), ("Support", "7392"), ("W" * 100, None)):
        mailbox = Mailbox(account=account, name=name)
        mailbox.password = code
        mailbox.save()
    Mailbox.objects.create(account=Account.objects.get(is_active=False), name="After hours")
    page.goto("/")
    expect(page.get_by_role("link", name="Sales")).to_be_visible()
    assert_accessible(page)


def test_empty_mailbox_table_is_accessible(page, rosa):
    page.goto("/?q=nobody&state=deleted")
    assert_accessible(page)
    page.get_by_role("link", name="Clear the search").click()
    page.get_by_role("link", name="Active", exact=True).click()
    expect(page.get_by_role("heading", name="No mailboxes yet")).to_be_visible()
    assert_accessible(page)


def test_pages_of_a_long_history_are_accessible(page, rosa):
    mailbox = Mailbox.objects.create(account=Account.objects.create(name="acme"), name="Sales")
    rename_often(mailbox, 120)
    for _time in range(25):
        reveal_pass_code(mailbox, User.objects.get())
    page.goto(f"/mailboxes/{mailbox.pk}/history/")
    page.get_by_role("link", name="Next").click()
    page.get_by_role("link", name="Older changes").click()
    expect(page.get_by_role("link", name="Newer changes")).to_be_visible()
    expect(page.get_by_role("link", name="Previous")).to_be_visible()
    assert_accessible(page)


def test_changes_and_the_history_of_an_account_are_accessible(page, rosa):
    account = Account.objects.create(name="acme", contact_name="Ann")
    ApiCredential.objects.issue(account, "sync", expires_at=timezone.now() + timedelta(days=1))
    account.suspend()
    mailbox = Mailbox(account=account, name="W" * 100)
    batch = Batch(user=User.objects.get(), action=Batch.Action.CREATED)
    added = mailbox.recipients_to_add(["a" * 60 + "@acme.example"])
    batches.write_batch(batch, created=[mailbox], added=added)
    for address in ("/changes/", f"/changes/{batch.pk}/", "/accounts/acme/history/"):
        page.goto(address)
        assert_accessible(page)


def test_failed_tasks_are_accessible(page, rosa):
    mailbox = Mailbox.objects.create(account=Account.objects.create(name="acme"), name="W" * 100)
    message = leave_message(mailbox, "Ann")
    fail_task(str(message.pk), text="The mail server mail.acme.example refused the recipient.")
    fail_task(error="builtins.ValueError")
    page.goto("/")
    page.get_by_role("link", name="Failed tasks").click()
    assert_accessible(page)
    page.get_by_role("button", name="Try all again").click()
    expect(page.get_by_text("2 tasks are tried again.")).to_be_visible()
    assert_accessible(page)


def test_admin_history_can_be_scrolled_by_keyboard_on_a_phone(page, rosa):
    mailbox = Mailbox.objects.create(account=Account.objects.create(name="acme"), name="Sales")
    mailbox.add_recipient("p" * 60 + "@acme.example")
    page.set_viewport_size({"width": 375, "height": 800})
    page.goto(f"/admin/mailboxes/mailbox/{mailbox.pk}/history/")
    violations = Axe().run(page, context=".what-happened").response["violations"]
    assert [rule["id"] for rule in violations] == []
    history = page.get_by_role("region", name="Changes of the mailbox")
    assert history.evaluate("region => region.scrollWidth > region.clientWidth")


def test_errors_of_a_password_change_are_accessible(page, rosa):
    page.goto("/me/password/")
    page.get_by_label("Old password").fill("wrong")
    page.get_by_label("New password", exact=True).fill("1234")
    page.get_by_label("New password confirmation").fill("1234")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Your old password was entered incorrectly.")).to_be_visible()
    assert_accessible(page)


def test_reference_page_is_accessible(page):
    page.goto("/docs/")
    page.locator("details").evaluate_all("answers => answers.forEach(answer => answer.open = true)")
    page.get_by_label("Python").first.check(force=True)
    assert_accessible(page)


def test_not_found_page_is_accessible(page):
    page.goto("/nowhere/")
    assert_accessible(
        page,
        ["Failed to load resource: the server responded with a status of 404 (Not Found)"],
    )
