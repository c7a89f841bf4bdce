"""Webhooks of an account, and their deliveries, for tests."""

from datetime import timedelta

from django.db import transaction

from mailboxes.contract import WEBHOOK_EVENTS
from mailboxes.models import WebhookDelivery, WebhookEndpoint


@transaction.atomic
def create_webhook(account, url="https://example.com/hook", **values) -> WebhookEndpoint:
    """Create a webhook for all events."""
    values = {"events": list(WEBHOOK_EVENTS)} | values
    return WebhookEndpoint.create(account, url=url, **values)


def list_events(endpoint) -> list[str]:
    """Return the types of a webhook's events, oldest first."""
    return [delivery.event for delivery in endpoint.deliveries.order_by("created_at")]


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now

    def go_on(self, **time):
        self.now += timedelta(**time)


def next_due() -> WebhookDelivery | None:
    pending = WebhookDelivery.objects.exclude(next_attempt_at=None)
    return pending.order_by("next_attempt_at").first()
