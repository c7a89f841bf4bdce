"""The filters of messages in a real browser, and the way back from a message."""

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from mailboxes.models import Account, Mailbox
from tests.browser.conftest import assert_accessible, sign_in
from tests.browser.test_messages import list_rows
from tests.messages import leave_message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture
def sales(db):
    account = Account.objects.create(name="acme")
    return Mailbox.objects.create(account=account, name="Sales")


@pytest.fixture
def messages(sales):
    """Leave messages on two days in New York, and three in UTC."""
    for name, moment in {
        "Ann": datetime(2023, 6, 2, 3, 30, tzinfo=UTC),  # still the first of June in New York
        "Bob": datetime(2023, 6, 2, 12, 0, tzinfo=UTC),
        "Eve": datetime(2023, 6, 3, 3, 30, tzinfo=UTC),  # still the second
    }.items():
        leave_message(sales, name, received_at=moment)


def test_days_are_filtered_in_the_time_zone_that_is_shown(browser, live_server, messages):
    context = browser.new_context(
        base_url=live_server.url, timezone_id="America/New_York", locale="en-GB"
    )
    page = context.new_page()
    page.console_messages = []
    page.on("console", lambda message: page.console_messages.append(message.text))
    sign_in(page, "rosa")
    page.goto("/messages/")
    page.get_by_text("Filter", exact=True).click()
    expect(page.get_by_text("Days of the time zone: America/New_York")).to_be_visible()
    page.get_by_label("From").fill("2023-06-02")
    page.get_by_label("Until").fill("2023-06-02")
    assert list_rows(page, 2) == ["Eve", "Bob"]
    shown = page.locator("tr[data-row] .created time").all_text_contents()
    assert all(text.startswith("2 Jun 2023") for text in shown), shown
    for label in ("From", "Until"):
        chip = page.get_by_role("link", name=f"{label} 2023-06-02 (America/New_York)")
        expect(chip).to_be_visible()
    page.reload()
    assert list_rows(page, 2) == ["Eve", "Bob"]
    page.get_by_role("link", name="From 2023-06-02").click()
    page.get_by_role("link", name="Until 2023-06-02").click()
    assert len(list_rows(page, 3)) == 3
    assert "zone" not in page.url
    context.close()


def test_swapped_dates_are_explained_at_the_field(page, messages, rosa):
    page.goto("/messages/")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("From").fill("2023-06-03")
    page.get_by_label("Until").fill("2023-06-02")
    error = page.locator("#date-errors").get_by_text("Choose a day that is not before")
    expect(error).to_be_visible()
    assert_accessible(page)
    page.get_by_label("Until").fill("2023-06-03")
    expect(error).to_have_count(0)
    expect(page.locator("#date-errors [data-zone]")).not_to_be_empty()
    page.goto("/messages/?since=2023-06-03&until=2023-06-02")
    expect(error).to_be_visible()
    assert_accessible(page)


def test_mailbox_is_filtered_by_its_name(page, messages, sales, rosa):
    desk = Mailbox.objects.create(account=sales.account, name="Desk")
    leave_message(desk, "Zoe")
    page.goto("/messages/")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Mailbox", exact=True).fill("desk")
    page.get_by_label("Mailbox", exact=True).blur()
    assert list_rows(page, 1) == ["Zoe"]


def test_deletion_leads_back_to_the_list(page, messages, rosa):
    page.goto("/messages/?q=sales")
    page.get_by_role("link", name="Bob").click()
    expect(page.locator(".bar [aria-current]")).to_have_text("Messages")
    assert_accessible(page)
    page.get_by_role("link", name="Older message").click()
    expect(page.get_by_role("heading", name="Ann")).to_be_visible()
    page.wait_for_load_state()  # the script that listens for keys
    page.keyboard.press("#")
    expect(page.get_by_text("1 message was deleted.")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/messages/\?q=sales$"))
    assert list_rows(page, 2) == ["Eve", "Bob"]


def test_message_that_was_deleted_in_another_tab_is_explained(page, messages, rosa):
    page.goto("/messages/")
    page.get_by_role("link", name="Bob").click()
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Delete").click()
    expect(other.get_by_text("1 message was deleted.")).to_be_visible()
    page.get_by_role("button", name="Mark as heard").click()
    notice = "Since this page was loaded, rosa has deleted the message."
    expect(page.get_by_text(notice)).to_be_visible()
    expect(page.get_by_role("button", name="Restore")).to_be_visible()
    assert_accessible(page)
