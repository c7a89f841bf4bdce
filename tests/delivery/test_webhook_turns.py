"""Webhooks with slow receivers, and events that are sent by hand while they wait."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from mailboxes.delivery import webhooks
from mailboxes.delivery.addresses import MAX_ANSWER_BYTES
from mailboxes.delivery.webhooks import LATER, LONGEST_TURN, deliver_webhook, send, send_again
from mailboxes.models import WebhookDelivery, WebhookEndpoint
from tests.delivery.receiver import Receiver
from tests.delivery.running import list_delays, pass_time, run_tasks
from tests.delivery.webhooks import create_webhook

pytestmark = pytest.mark.django_db
State = WebhookDelivery.State


@pytest.fixture
def endpoint(account, receiver):
    return create_webhook(account, receiver.url)


def start_turn(endpoint, **time) -> None:
    assert endpoint.start_turn(timezone.now() + timedelta(**time))


def test_event_waits_while_another_is_sent_to_its_webhook(endpoint, receiver, account):
    start_turn(endpoint, seconds=LONGEST_TURN)
    delivery = send(endpoint, "mailbox.updated", {})
    with Receiver() as free:
        send(create_webhook(account, free.url), "mailbox.updated", {})
        assert run_tasks() == 2
        assert (len(receiver.requests), len(free.requests)) == (0, 1)
    (task,) = DBTaskResult.objects.filter(status="READY")
    assert (task.priority, task.worker_ids) == (LATER, [])
    WebhookEndpoint.objects.update(sending_until=None)
    pass_time(seconds=2)
    run_tasks()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (State.DELIVERED, 1)
    assert WebhookEndpoint.objects.filter(sending_until=None).count() == 2


def test_event_waits_longer_the_longer_it_has_waited(endpoint, monkeypatch):
    monkeypatch.setattr(webhooks.random, "uniform", lambda least, most: most)
    start_turn(endpoint, hours=2)
    waits = [(False, 0, 1), (False, 5, 5), (False, 60, 10), (True, 60, 60), (True, 3600, 300)]
    for is_slow, waited, pause in waits:
        endpoint.note_attempt(succeeded=True, is_slow=is_slow)
        DBTaskResult.objects.all().delete()
        delivery = send(endpoint, "mailbox.updated", {})
        delivery.next_attempt_at -= timedelta(seconds=waited)
        delivery.save()
        run_tasks()
        assert list_delays() == [pytest.approx(pause, abs=0.9)]


def test_waiting_is_no_attempt_and_adds_no_task(endpoint, receiver):
    start_turn(endpoint, hours=2)
    send(endpoint, "mailbox.updated", {})
    for _ in range(20):
        run_tasks()
        pass_time(minutes=10)
    (task,) = DBTaskResult.objects.all()
    assert (task.status, task.exception_class_path) == ("READY", "")
    assert receiver.requests == []


def test_turn_of_a_killed_worker_ends(endpoint, receiver):
    start_turn(endpoint, seconds=-1)
    send(endpoint, "mailbox.updated", {})
    run_tasks()
    assert len(receiver.requests) == 1


def test_turn_ends_after_an_error(endpoint, monkeypatch):
    monkeypatch.setattr(webhooks, "attempt", lambda delivery: 1 / 0)
    send(endpoint, "mailbox.updated", {})
    run_tasks()
    assert WebhookEndpoint.objects.get().sending_until is None


def test_event_that_was_sent_meanwhile_is_not_sent_again(endpoint, receiver, monkeypatch):
    """Another worker ends its attempt between this one's query and its turn."""
    delivery = send(endpoint, "mailbox.updated", {})
    start = WebhookEndpoint.start_turn

    def start_late(endpoint, end):
        WebhookDelivery.objects.update(attempts=1, state=State.DELIVERED)
        return start(endpoint, end)

    monkeypatch.setattr(WebhookEndpoint, "start_turn", start_late)
    deliver_webhook.call(str(delivery.pk), 0, False)
    assert receiver.requests == []


def test_slow_receiver_waits_for_all_others(endpoint, receiver, account, monkeypatch):
    """It may take its full time for each event, even if it succeeds."""
    monkeypatch.setattr(webhooks, "SLOW_SECONDS", -1)
    send(endpoint, "mailbox.updated", {})
    run_tasks()
    endpoint.refresh_from_db()
    assert (endpoint.is_slow, endpoint.failing_since) == (True, None)
    order = []
    with Receiver() as quick:
        receiver.reply = lambda handler: order.append("slow") or handler.send_error(204)
        quick.reply = lambda handler: order.append("quick") or handler.send_error(204)
        other = create_webhook(account, quick.url)
        for webhook in (endpoint, endpoint, other, other):
            send(webhook, "mailbox.updated", {})
        monkeypatch.setattr(webhooks, "SLOW_SECONDS", 60)
        run_tasks()
    assert order == ["quick", "quick", "slow", "slow"]
    endpoint.refresh_from_db()
    assert not endpoint.is_slow


def test_waiting_event_that_is_sent_again_by_hand_is_sent_once(endpoint, receiver):
    receiver.status = 500
    delivery = send(endpoint, "mailbox.updated", {})
    for _ in range(5):
        send_again(WebhookDelivery.objects.get())
    assert DBTaskResult.objects.count() == 1
    run_tasks()
    for _ in range(5):  # before its second attempt is due
        send_again(WebhookDelivery.objects.get())
    run_tasks()
    assert len(receiver.requests) == 2
    delivery.refresh_from_db()
    assert (delivery.attempts, delivery.tries) == (2, 1)


@pytest.mark.parametrize("answer", [b"\xff", b"\x01", "ü".encode(), b"\r\n"])
def test_stored_answers_are_limited_in_size(endpoint, receiver, answer):
    receiver.status, receiver.answer = 500, answer * 10_000
    delivery = send(endpoint, "mailbox.updated", {})
    for number in range(WebhookDelivery.MAX_ATTEMPTS_SHOWN):
        deliver_webhook.call(str(delivery.pk), number, True)
        WebhookDelivery.objects.update(tries=0)
    delivery.refresh_from_db()
    answers = [entry["answer"] for entry in delivery.content["attempts"]]
    assert {len(text) for text in answers[:-3]} == {100}
    assert all(0 <= MAX_ANSWER_BYTES - len(text.encode()) < 3 for text in answers[-3:])
    assert len(delivery.content_sealed) < 50_000
