"""Deliveries of webhooks: signatures, attempts, and switching off."""

import json
import logging
from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from mailboxes.contract import TEST_EVENT, WEBHOOK_EVENTS
from mailboxes.delivery import addresses, webhooks
from mailboxes.delivery.failures import list_failed, try_again
from mailboxes.delivery.webhooks import (
    SwitchedOffError,
    deliver_webhook,
    send,
    send_again,
    send_test,
)
from mailboxes.encryption import KeyRing
from mailboxes.models import Mailbox, WebhookDelivery
from tests.delivery.receiver import Receiver
from tests.delivery.running import run_tasks
from tests.delivery.webhooks import Clock, create_webhook, next_due

pytestmark = pytest.mark.django_db
State = WebhookDelivery.State


@pytest.fixture
def endpoint(account, receiver):
    return create_webhook(account, receiver.url)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock(timezone.now())
    monkeypatch.setattr(timezone, "now", clock)
    return clock


@pytest.fixture
def steady(monkeypatch):
    """Remove the jitter from the schedule."""
    monkeypatch.setattr(webhooks, "JITTER", 0)


def run_until(clock, end):
    """Let time pass, with a worker that runs each task when it is due."""
    while (delivery := next_due()) and delivery.next_attempt_at <= end:
        clock.now = max(clock.now, delivery.next_attempt_at)
        assert run_tasks(["webhooks"])
    clock.now = end


def test_delivered_event_has_type_time_and_data(endpoint, receiver):
    delivery = send(endpoint, "mailbox.updated", {"name": "Büro"})
    assert run_tasks() == 1
    delivery.refresh_from_db()
    (request,) = receiver.requests
    body = json.loads(request.body)
    assert list(body) == ["type", "timestamp", "data"]
    assert body["type"] == "mailbox.updated"
    assert body["timestamp"].endswith("Z")
    assert body["data"] == {"name": "Büro"}
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["webhook-id"] == str(delivery.pk)
    assert (delivery.state, delivery.attempts, delivery.status) == (State.DELIVERED, 1, 200)
    (entry,) = delivery.content["attempts"]
    assert (entry["status"], entry["answer"]) == (200, "thanks")


def test_signature_is_verified_by_the_reference_library(endpoint, receiver):
    send(endpoint, "mailbox.updated", {"name": "Büro"})
    run_tasks()
    (request,) = receiver.requests
    assert Webhook(endpoint.secret).verify(request.body, request.headers)["data"] == {
        "name": "Büro"
    }
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(request.body + b" ", request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.make_secret()).verify(request.body, request.headers)


def test_old_secret_signs_too_for_a_day_after_a_rotation(endpoint, receiver, clock):
    old = endpoint.secret
    new = endpoint.rotate()
    assert new != old
    send_test(endpoint)
    run_tasks()
    for secret in (old, new):
        Webhook(secret).verify(receiver.requests[0].body, receiver.requests[0].headers)
    clock.go_on(hours=24)
    assert endpoint.signing_secrets == [new]


def test_event_of_a_rolled_back_change_is_not_sent(endpoint, receiver):
    with transaction.atomic():
        send(endpoint, "mailbox.updated", {})
        transaction.set_rollback(True)
    assert run_tasks() == 0
    assert receiver.requests == []


def test_failed_attempts_follow_the_schedule(endpoint, receiver, clock, steady):
    receiver.status = 500
    start = clock.now
    delivery = send(endpoint, "mailbox.updated", {})
    run_until(clock, start + timedelta(days=3))
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.status) == (State.FAILED, 8, 500)
    times = [entry["at"] for entry in delivery.content["attempts"]]
    pauses = [timedelta(), *webhooks.DELAYS]
    due = [start + sum(pauses[: number + 1], timedelta()) for number in range(8)]
    assert times == [moment.isoformat() for moment in due]
    assert {request.headers["webhook-id"] for request in receiver.requests} == {str(delivery.pk)}
    assert endpoint.is_active


def test_schedule_is_that_of_the_contract():
    delays = [delay.total_seconds() for delay in webhooks.DELAYS]
    assert delays == [5, 300, 1800, 7200, 18000, 36000, 36000]


def test_retries_have_jitter(endpoint, receiver, clock):
    receiver.status = 500
    deliveries = [send(endpoint, "mailbox.updated", {}) for _ in range(5)]
    run_tasks()
    due = {WebhookDelivery.objects.get(pk=each.pk).next_attempt_at for each in deliveries}
    assert len(due) == 5
    assert all(4.5 <= (moment - clock.now).total_seconds() <= 5.5 for moment in due)


def test_receiver_that_was_down_for_an_hour_gets_everything(account, reachable, clock):
    with Receiver() as receiver:
        endpoint = create_webhook(account, receiver.url)
    start = clock.now  # nothing listens there any more
    sent = []
    for _number in range(15):
        sent.append(send(endpoint, "mailbox.updated", {"number": len(sent)}))
        run_until(clock, clock.now + timedelta(minutes=4))
    assert clock.now == start + timedelta(hours=1)
    assert not WebhookDelivery.objects.filter(state=State.DELIVERED).exists()
    with Receiver() as receiver:
        type(endpoint).objects.update(url=receiver.url)
        run_until(clock, start + timedelta(hours=7))
        got = Counter(request.headers["webhook-id"] for request in receiver.requests)
    assert got == Counter(str(delivery.pk) for delivery in sent)
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {State.DELIVERED}
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 503])
def test_other_status_than_2xx_is_a_failure(endpoint, receiver, status):
    receiver.status, receiver.headers = status, {"Location": receiver.url}
    delivery = send(endpoint, "mailbox.updated", {})
    run_tasks()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.status) == (State.PENDING, status)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [201, 202, 204])
def test_every_2xx_is_a_success(endpoint, receiver, status):
    receiver.status, receiver.answer = status, b""
    delivery = send(endpoint, "mailbox.updated", {})
    run_tasks()
    delivery.refresh_from_db()
    assert delivery.state == State.DELIVERED


def test_answer_410_switches_the_webhook_off(endpoint, receiver):
    receiver.status = 410
    deliveries = [send(endpoint, "mailbox.updated", {}) for _ in range(2)]
    run_tasks()
    endpoint.refresh_from_db()
    assert (endpoint.is_active, endpoint.off_reason) == (False, "gone")
    first, second = (WebhookDelivery.objects.get(pk=each.pk) for each in deliveries)
    assert {first.state, second.state} == {State.FAILED}
    assert len(receiver.requests) == 1


def test_five_days_of_failures_switch_the_webhook_off(endpoint, receiver, clock):
    receiver.status = 500
    start = clock.now
    for day in range(7):
        send(endpoint, "mailbox.updated", {})
        run_until(clock, start + timedelta(days=day + 1))
        endpoint.refresh_from_db()
        if not endpoint.is_active:
            break
    assert endpoint.off_reason == "failing"
    assert timedelta(days=5) <= clock.now - start <= timedelta(days=6)


def test_success_between_failures_keeps_the_webhook_on(endpoint, receiver, clock):
    start = clock.now
    for day in range(8):
        receiver.status = 200 if day == 4 else 500
        send(endpoint, "mailbox.updated", {})
        run_until(clock, start + timedelta(days=day + 1))
    endpoint.refresh_from_db()
    assert endpoint.is_active


def test_webhook_that_is_switched_on_again_starts_anew(endpoint, receiver, clock):
    receiver.status = 410
    send(endpoint, "mailbox.updated", {})
    run_tasks()
    clock.go_on(hours=1)
    endpoint.refresh_from_db()
    endpoint.change(is_active=True)
    assert (endpoint.off_reason, endpoint.failing_since) == ("", None)
    assert endpoint.active_since == clock.now


@pytest.mark.parametrize("who", ["webhook", "account"])
def test_pending_event_is_not_sent_once_its_webhook_is_off(endpoint, receiver, who):
    delivery = send(endpoint, "mailbox.updated", {})
    if who == "webhook":
        endpoint.change(is_active=False)
    else:
        endpoint.account.suspend()
    run_tasks()
    delivery.refresh_from_db()
    assert receiver.requests == []
    assert delivery.state == State.FAILED
    assert delivery.content["attempts"][0]["answer"] == "The webhook was switched off."
    with pytest.raises(SwitchedOffError):
        send_again(WebhookDelivery.objects.get(pk=delivery.pk))
    with pytest.raises(SwitchedOffError):
        send_test(endpoint)


def test_event_of_a_removed_webhook_is_not_sent(endpoint, receiver):
    send(endpoint, "mailbox.updated", {})
    endpoint.delete()
    assert run_tasks() == 1
    assert receiver.requests == []


def test_event_is_sent_again_with_the_same_id_and_schedule(endpoint, receiver, clock):
    receiver.status = 500
    delivery = send(endpoint, "mailbox.updated", {})
    run_until(clock, clock.now + timedelta(days=3))
    receiver.requests.clear()
    delivery.refresh_from_db()
    send_again(delivery)
    run_tasks()
    receiver.status = 200
    run_until(clock, clock.now + timedelta(minutes=1))
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.tries) == (State.DELIVERED, 10, 2)
    assert [request.headers["webhook-id"] for request in receiver.requests] == [
        str(delivery.pk)
    ] * 2


def test_task_that_runs_twice_sends_once(endpoint, receiver):
    """A worker may be killed after its attempt was recorded; another runs the task again."""
    delivery = send(endpoint, "mailbox.updated", {})
    run_tasks()
    deliver_webhook.call(str(delivery.pk), 0, False)
    assert len(receiver.requests) == 1


def test_event_that_was_sent_by_hand_before_its_turn_is_sent_once(endpoint, receiver, clock):
    receiver.status = 500
    delivery = send(endpoint, "mailbox.updated", {})
    run_tasks()
    receiver.status = 200
    delivery.refresh_from_db()
    send_again(delivery)
    run_until(clock, clock.now + timedelta(days=3))
    run_tasks()
    assert len(receiver.requests) == 2


def test_failing_receiver_waits_for_all_others(endpoint, receiver, account):
    """It may take its full time for each event."""
    with Receiver() as working:
        order = []
        receiver.reply = lambda handler: order.append("failing") or handler.send_error(500)
        working.reply = lambda handler: order.append("working") or handler.send_error(204)
        other = create_webhook(account, working.url)
        for _ in range(3):
            send(endpoint, "mailbox.updated", {})
        for _ in range(3):
            send(other, "mailbox.updated", {})
        run_tasks()
    assert order == ["failing", *["working"] * 3, *["failing"] * 2]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9/", "There was no connection"),
        ("http://10.0.0.1/", webhooks.REFUSED),
        ("http://unknown.invalid/", "There was no connection"),
    ],
)
def test_reason_of_a_failure_is_kept(account, reachable, url, reason):
    endpoint = create_webhook(account)
    type(endpoint).objects.update(url=url)
    delivery = send(endpoint, "mailbox.updated", {})
    run_tasks()
    delivery.refresh_from_db()
    assert delivery.status is None
    assert delivery.content["attempts"][0]["answer"].startswith(reason)


def test_slow_receiver_is_given_up(endpoint, receiver, monkeypatch):
    monkeypatch.setattr(addresses, "ANSWER_SECONDS", 0.2)
    receiver.drip = 0.1
    delivery = send(endpoint, "mailbox.updated", {})
    run_tasks()
    delivery.refresh_from_db()
    assert delivery.content["attempts"][0]["answer"] == webhooks.TIMED_OUT


def test_body_and_answers_are_encrypted_at_rest(endpoint, receiver):
    receiver.answer = b"answer in clear"
    delivery = send(endpoint, "mailbox.updated", {"transcription": "words in clear"})
    run_tasks()
    row = WebhookDelivery.objects.filter(pk=delivery.pk).values().get()
    assert "in clear" not in str(row)
    assert endpoint.secret not in str(type(endpoint).objects.values())


def test_content_of_another_delivery_cannot_be_read(endpoint):
    """Each text is bound to its row."""
    one, other = send(endpoint, "mailbox.updated", {}), send(endpoint, "mailbox.updated", {})
    one.content_sealed = other.content_sealed
    with pytest.raises(Exception, match="cannot be decrypted"):
        _ = one.content


def test_event_without_its_key_waits_for_the_key(endpoint, receiver, settings):
    delivery = send(endpoint, "mailbox.updated", {})
    keys = settings.PASS_CODE_KEYS
    settings.PASS_CODE_KEYS = KeyRing([b"0" * 32])
    run_tasks()
    delivery.refresh_from_db()
    assert (delivery.state, receiver.requests) == (State.PENDING, [])
    settings.PASS_CODE_KEYS = keys
    deliver_webhook.call(str(delivery.pk), 0, False)
    assert len(receiver.requests) == 1


def test_failed_task_is_tried_again_once_its_key_is_back(endpoint, receiver, settings, clock):
    delivery = send(endpoint, "mailbox.updated", {})
    keys = settings.PASS_CODE_KEYS
    settings.PASS_CODE_KEYS = KeyRing([b"0" * 32])
    run_tasks()
    for _attempt in range(10):
        clock.go_on(hours=2)
        run_tasks()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (State.FAILED, 0)
    assert list_failed().count() == 1
    settings.PASS_CODE_KEYS = keys
    try_again(list_failed())
    run_tasks()
    delivery.refresh_from_db()
    assert (delivery.state, len(receiver.requests)) == (State.DELIVERED, 1)


def test_logs_have_no_body_secret_or_address(endpoint, receiver, caplog):
    caplog.set_level(logging.INFO)
    receiver.status, receiver.answer = 500, b"answer"
    type(endpoint).objects.update(url=f"{receiver.url}?key=hidden")
    send(endpoint, "mailbox.updated", {"transcription": "words"})
    run_tasks()
    assert len(receiver.requests) == 1
    for secret in (endpoint.secret, "words", "hidden", "answer"):
        assert secret not in caplog.text


def test_only_last_attempts_are_kept(endpoint, receiver):
    receiver.status = 500
    delivery = send(endpoint, "mailbox.updated", {})
    for _ in range(WebhookDelivery.MAX_ATTEMPTS_SHOWN + 5):
        deliver_webhook.call(str(delivery.pk), delivery.attempts, True)
        delivery.refresh_from_db()
        delivery.state, delivery.tries = State.PENDING, 0
        delivery.save()
    assert len(delivery.content["attempts"]) == WebhookDelivery.MAX_ATTEMPTS_SHOWN


def test_test_event_goes_to_a_webhook_that_wants_no_events_of_that_kind(account, receiver):
    endpoint = create_webhook(account, receiver.url, events=[WEBHOOK_EVENTS[0]])
    send_test(endpoint)
    run_tasks()
    assert json.loads(receiver.requests[0].body)["type"] == TEST_EVENT


def test_mailbox_change_does_not_wait_for_a_receiver(endpoint, account):
    """A change writes no event: the worker finds the change later."""
    Mailbox.objects.create(account=account, name="Sales")
    assert WebhookDelivery.objects.count() == 0
