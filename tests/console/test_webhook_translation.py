"""Every word of the pages of webhooks comes from gettext, as in test_translation.py."""

import pytest

from mailboxes.delivery.webhooks import send
from mailboxes.models import Account, WebhookEndpoint
from tests.console.test_translation import (
    _marked_lookups,  # noqa: F401  marks the results of lookups in this module too
    assert_translated,
    sign_in_with_digits,
)
from tests.delivery.webhooks import create_webhook

pytestmark = pytest.mark.long

WEBHOOK = {"url": "https://9.example/", "events": ["message.received"]}


@pytest.fixture
def values(db):
    """Return the keys of a webhook that fails, of one that is off, and of an event."""
    account = Account.objects.create(name="101")
    webhook = create_webhook(account, "https://7.example/")
    off = create_webhook(account, "https://8.example/", include_customers=True)
    off.switch_off(WebhookEndpoint.OffReason.GONE)
    sent = send(webhook, "mailbox.updated", {"1": "2"})
    sent.log_attempt(500, "9")
    sent.save()
    webhook.note_attempt(succeeded=False)
    return {"webhook": webhook.pk, "off": off.pk, "sent": sent.pk}


@pytest.mark.parametrize(
    "page",
    [
        "",
        "webhooks/new/",
        "webhooks/{webhook}/",
        "webhooks/{off}/",
        "webhooks/{webhook}/edit/",
        "webhooks/{webhook}/rotate/",
        "webhooks/{webhook}/delete/",
        "webhooks/{webhook}/deliveries/{sent}/",
    ],
)
def test_pages_are_translated(values, page):
    browser = sign_in_with_digits("Manager")
    assert_translated(browser.get(f"/accounts/101/{page.format(**values)}"))


@pytest.mark.parametrize(
    ("page", "form"),
    [
        ("new/", {"url": "http://9"}),
        ("new/", {"url": "https://10.0.0.1/", "events": ["9"]}),
        ("new/", WEBHOOK),
        ("{webhook}/edit/", WEBHOOK),
        ("{webhook}/rotate/", {}),
        ("{webhook}/rotate/", {"version": 1}),
        ("{webhook}/delete/", {}),
        ("{webhook}/test/", {}),
        ("{off}/test/", {}),
        ("{webhook}/deliveries/{sent}/again/", {}),
    ],
)
def test_form_responses_are_translated(values, page, form):
    browser = sign_in_with_digits("Manager")
    address = f"/accounts/101/webhooks/{page.format(**values)}"
    assert_translated(browser.post(address, form, follow=True))
