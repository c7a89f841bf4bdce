"""A webhook in a real browser: added, tried out, and its events sent again."""

import pytest
from playwright.sync_api import expect

from mailboxes.models import Account, Mailbox, WebhookEndpoint
from tests.browser.conftest import assert_accessible, sign_in
from tests.conftest import database_url
from tests.delivery.running import RunningWorker
from tests.messages import leave_message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

ENVIRONMENT = {"WEBHOOK_NETWORKS": "127.0.0.0/8", "HTTPS": "off"}


def test_webhook_is_added_and_its_events_seen_and_sent_again(page, receiver):
    mailbox = Mailbox.objects.create(account=Account.objects.create(name="acme"), name="Sales")
    sign_in(page, "mona", "Manager")
    page.goto("/accounts/acme/")
    page.get_by_role("link", name="Add a webhook").click()
    assert_accessible(page)
    page.get_by_label("Address").fill(receiver.url)
    page.get_by_label("message.received").check()
    page.get_by_role("button", name="Add the webhook").click()
    secret = page.locator("#secret").inner_text()
    assert_accessible(page)
    assert WebhookEndpoint.objects.get().secret == secret
    with RunningWorker(database_url(), **ENVIRONMENT):
        page.get_by_role("link", name="I have copied it").click()
        receiver.status, receiver.answer = 500, b"not yet"
        leave_message(mailbox, "Ann", text="Call me back.")
        page.wait_for_timeout(2000)
        page.reload()
        page.get_by_role("link", name="message.received").click()
        expect(page.get_by_text("not yet")).to_be_visible()
        assert_accessible(page)
        receiver.status, receiver.answer = 200, b"got it"
        page.get_by_role("button", name="Send again").click()
        page.wait_for_timeout(2000)
        page.reload()
        expect(page.get_by_text("got it")).to_be_visible()
        page.get_by_role("link", name="Webhook", exact=True).click()
        assert_accessible(page)
        page.get_by_role("button", name="Send a test event").click()
        expect(page.get_by_text("A test event is being sent.")).to_be_visible()
