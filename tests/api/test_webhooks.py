"""The commands on webhooks and their deliveries."""

import base64
from datetime import timedelta

import pytest

from mailboxes.contract import MAX_WEBHOOKS, WEBHOOK_EVENTS, WEBHOOK_KEYS
from mailboxes.delivery.webhooks import send
from mailboxes.models import WebhookDelivery, WebhookEndpoint
from tests.delivery.running import run_tasks
from tests.delivery.webhooks import create_webhook

PATH = "/voip/webhook"
BODY = {"url": "https://example.com/hook", "events": ["mailbox.deleted", "message.received"]}


@pytest.fixture
def webhook(account):
    return create_webhook(account)


def test_created_webhook_is_answered_with_its_secret_once(wire):
    created = wire.post(PATH, BODY)
    assert created.status == 201
    uuid, secret = created.result["uuid"], created.result["secret"]
    assert created.headers["etag"] == '"1"'
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    shown = {key: value for key, value in created.result.items() if key != "secret"}
    assert list(shown) == list(WEBHOOK_KEYS)
    assert shown["events"] == ["message.received", "mailbox.deleted"]
    assert (shown["include_customers"], shown["is_active"]) == (False, True)
    assert wire.get(f"{PATH}/{uuid}").result == shown
    assert wire.get(PATH).result == [shown]
    assert WebhookEndpoint.objects.get().secret == secret


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("url", "ftp://example.com/", "scheme"),
        ("url", "example.com", "invalid"),
        ("url", "https://", "invalid"),
        ("url", "https://exämple.com/", "invalid"),
        ("url", "https://example.com/a b", "invalid"),
        ("url", "https://example.com:99999/", "invalid"),
        ("url", "https://[::1/", "invalid"),
        ("url", "https://ann:password@example.com/", "invalid"),
        ("url", "https://example.com/#part", "invalid"),
        ("url", "https://example.com\\@127.0.0.1/", "invalid"),
        ("url", "https://127.0.0.1/", "private"),
        ("url", "https://[::ffff:10.0.0.1]/", "private"),
        ("url", "https://169.254.169.254/latest/", "private"),
        ("url", "https://example.com/" + "a" * 2000, "max_length"),
        ("url", 5, "invalid"),
        ("url", None, "null"),
        ("url", "", "blank"),
        ("events", [], "min_length"),
        ("events", "message.received", "not_a_list"),
        ("events", ["message.lost"], "invalid_choice"),
        ("events", [[]], "invalid_choice"),
        ("events", None, "null"),
        ("is_active", "yes", "invalid"),
        ("include_customers", 1, "invalid"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_wrong_value_is_refused_at_its_field(service, webhook, method, field, value, code):
    path = PATH if method == "POST" else f"{PATH}/{webhook.pk}"
    answer = service.call(method, path, BODY | {field: value})
    assert answer.status == 400
    assert [error["code"] for error in answer.errors[field]] == [code]
    assert WebhookEndpoint.objects.count() == 1
    assert WebhookEndpoint.objects.get().version == 1


@pytest.mark.parametrize("field", ["url", "events"])
def test_field_left_out_is_refused(service, field):
    body = {key: value for key, value in BODY.items() if key != field}
    answer = service.post(PATH, body)
    assert (answer.status, answer.errors[field][0]["code"]) == (400, "required")


def test_repeated_events_are_kept_once_and_in_order(service):
    events = ["message.deleted", "message.received", "message.deleted"]
    answer = service.post(PATH, BODY | {"events": events})
    assert answer.result["events"] == ["message.received", "message.deleted"]


def test_account_has_a_limited_number_of_webhooks(service, account):
    for _ in range(MAX_WEBHOOKS):
        create_webhook(account)
    answer = service.post(PATH, BODY)
    assert answer.status == 409
    assert answer.errors["non_field_errors"][0]["code"] == "limit"


def test_creation_with_a_key_is_done_once_and_answers_the_secret_again(service):
    first, second = (service.post(PATH, BODY, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json == second.json
    assert second.headers["idempotency-replayed"] == "true"
    assert WebhookEndpoint.objects.count() == 1


def test_changed_webhook_has_the_next_etag(service, webhook):
    path = f"{PATH}/{webhook.pk}"
    answer = service.patch(path, {"is_active": False}, headers={"If-Match": '"1"'})
    assert (answer.status, answer.result["is_active"], answer.headers["etag"]) == (
        200,
        False,
        '"2"',
    )
    assert answer.result["events"] == list(WEBHOOK_EVENTS)
    assert service.patch(path, {"is_active": True}, headers={"If-Match": '"1"'}).status == 412
    assert service.delete(path, headers={"If-Match": '"1"'}).status == 412
    assert service.get(path, headers={"If-None-Match": '"2"'}).status == 304


def test_webhook_cannot_be_replaced_by_put(service, webhook):
    assert service.put(f"{PATH}/{webhook.pk}", BODY).status == 405


def test_deleted_webhook_is_gone_with_its_deliveries(service, webhook):
    send(webhook, "mailbox.created", {})
    assert service.delete(f"{PATH}/{webhook.pk}").status == 204
    assert service.get(f"{PATH}/{webhook.pk}").status == 404
    assert WebhookDelivery.objects.count() == 0


def test_rotated_secret_is_answered_once(service, webhook):
    old = webhook.secret
    answer = service.post(f"{PATH}/{webhook.pk}/rotate")
    assert answer.status == 200
    webhook.refresh_from_db()
    assert webhook.signing_secrets == [answer.result["secret"], old]
    assert "secret" not in service.get(f"{PATH}/{webhook.pk}").result


def test_deliveries_are_listed_newest_first_in_pages(service, webhook):
    sent = [send(webhook, "mailbox.created", {"number": number}) for number in range(5)]
    for number, delivery in enumerate(sent):
        created_at = delivery.created_at + timedelta(seconds=number // 2)
        WebhookDelivery.objects.filter(pk=delivery.pk).update(created_at=created_at)
    path = f"{PATH}/{webhook.pk}/deliveries"
    whole = [row["id"] for row in service.get(path).result]
    assert set(whole) == {str(delivery.pk) for delivery in sent}
    assert whole[0] == str(sent[4].pk)
    assert [row["id"] for row in service.get_rows(f"{path}?limit=2")] == whole
    assert service.get(f"{path}?limit=0").status == 400
    assert service.get(f"{path}?limit=101").errors["limit"][0]["code"] == "max_value"
    assert service.get(f"{path}?cursor=x").status == 400


def test_delivery_shows_its_state_and_last_answer(service, account, receiver):
    webhook = create_webhook(account, receiver.url)
    send(webhook, "mailbox.created", {})
    (row,) = service.get(f"{PATH}/{webhook.pk}/deliveries").result
    assert (row["state"], row["attempts"], row["answer"], row["status"]) == (
        "pending",
        0,
        None,
        None,
    )
    receiver.status, receiver.answer = 500, b"broken"
    run_tasks()
    (row,) = service.get(f"{PATH}/{webhook.pk}/deliveries").result
    assert (row["state"], row["attempts"]) == ("pending", 1)
    assert (row["answer"], row["status"]) == ("broken", 500)
    assert row["next_attempt_at"] > row["attempted_at"]


def test_delivery_is_sent_again(service, account, receiver):
    webhook = create_webhook(account, receiver.url)
    delivery = send(webhook, "mailbox.created", {})
    run_tasks()
    answer = service.post(f"{PATH}/{webhook.pk}/deliveries/{delivery.pk}/replay")
    assert (answer.status, answer.result["state"]) == (202, "pending")
    run_tasks()
    assert [request.headers["webhook-id"] for request in receiver.requests] == [
        str(delivery.pk)
    ] * 2


def test_delivery_of_a_webhook_that_is_off_is_not_sent_again(service, webhook):
    delivery = send(webhook, "mailbox.created", {})
    webhook.change(is_active=False)
    answer = service.post(f"{PATH}/{webhook.pk}/deliveries/{delivery.pk}/replay")
    assert (answer.status, answer.errors["non_field_errors"][0]["code"]) == (409, "switched_off")


def test_trailing_slash_makes_no_difference(wire):
    uuid = wire.post(f"{PATH}/", BODY).result["uuid"]
    for path in (PATH, f"{PATH}/{uuid}", f"{PATH}/{uuid}/deliveries"):
        assert wire.get(f"{path}/").json == wire.get(path).json
