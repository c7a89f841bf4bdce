"""Webhooks sent by a real worker, which may be killed."""

import json
from collections import Counter
from threading import Event

import pytest
from django.db import transaction

from mailboxes.delivery.webhooks import send
from mailboxes.models import Mailbox, WebhookDelivery
from tests.conftest import database_url
from tests.delivery.receiver import Receiver
from tests.delivery.running import RunningWorker
from tests.delivery.webhooks import create_webhook
from tests.messages import leave_message
from tests.server import until

pytestmark = [pytest.mark.long, pytest.mark.django_db(transaction=True)]

ENVIRONMENT = {"WEBHOOK_NETWORKS": "127.0.0.0/8", "HTTPS": "off"}


def list_received(receiver) -> list[str]:
    return sorted(json.loads(request.body)["type"] for request in receiver.requests)


def test_worker_sends_events_of_messages_and_mailboxes(account, service, receiver):
    create_webhook(account, receiver.url)
    with RunningWorker(database_url(), **ENVIRONMENT):
        mailbox = Mailbox.objects.create(account=account, name="Sales")
        message = leave_message(mailbox, "Ann")
        until(lambda: len(receiver.requests) == 2)
        service.patch(f"/voip/mailbox/{mailbox.pk}", {"beep": False})
        with transaction.atomic():
            message.soft_delete()
        until(lambda: len(receiver.requests) == 4)
    assert list_received(receiver) == [
        "mailbox.created",
        "mailbox.updated",
        "message.deleted",
        "message.received",
    ]


def test_events_of_a_worker_that_was_killed_all_arrive(account, receiver):
    """At most those that were on their way come twice, with the same id."""
    create_webhook(account, receiver.url)
    mailboxes = [Mailbox.objects.create(account=account, name=f"Box {n}") for n in range(30)]
    for number in range(3):
        with RunningWorker(database_url(), **ENVIRONMENT) as worker:
            until(lambda least=5 * (number + 1): len(receiver.requests) >= least)
            worker.kill()
    with RunningWorker(database_url(), **ENVIRONMENT):
        done = WebhookDelivery.objects.filter(state=WebhookDelivery.State.DELIVERED)
        until(lambda: done.count() == len(mailboxes))
    received = Counter(request.headers["webhook-id"] for request in receiver.requests)
    assert len(received) == len(mailboxes)
    assert sum(received.values()) <= len(mailboxes) + 3 * 4  # threads of each killed worker


def test_slow_receiver_does_not_delay_others(account, receiver):
    """It succeeds, but all threads of a worker could wait for its answers."""
    answered = Event()
    with Receiver() as slow:
        slow.reply = lambda handler: answered.wait(10) and handler.send_error(204)
        slow_webhook = create_webhook(account, slow.url)
        webhook = create_webhook(account, receiver.url)
        for _ in range(8):
            send(slow_webhook, "mailbox.updated", {})
        with RunningWorker(database_url(), **ENVIRONMENT):
            until(lambda: slow.requests)
            for _ in range(3):
                send(webhook, "mailbox.updated", {})
            done = WebhookDelivery.objects.filter(state=WebhookDelivery.State.DELIVERED)
            until(lambda: done.filter(endpoint=webhook).count() == 3)
            assert len(slow.requests) == 1
            answered.set()
            until(lambda: done.filter(endpoint=slow_webhook).count() == 8)
    assert len(slow.requests) == 8
