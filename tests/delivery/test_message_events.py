"""Events of messages: which webhooks get them, and their data."""

import json

import pytest

from mailboxes.models import Account, Mailbox, WebhookDelivery
from mailboxes.models.signals import message_transcribed
from tests.conftest import headers_for
from tests.delivery.webhooks import create_webhook, list_events
from tests.messages import leave_message
from tests.recordings import make_form, make_wav
from tests.service import InProcess

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales")


def get_data(delivery) -> dict:
    return json.loads(delivery.content["body"])["data"]


def test_received_message_is_sent_as_the_api_shows_it(account, mailbox, service):
    endpoint = create_webhook(account)
    path = f"/voip/mailbox/{mailbox.pk}/messages"
    form = make_form(make_wav(), caller_id_name="Ann", received_at="2026-01-02T03:04:05.6Z")
    shown = service.post(path, **form).result
    (delivery,) = endpoint.deliveries.all()
    assert delivery.event == "message.received"
    data = get_data(delivery)
    assert data == shown | {"mailbox": str(mailbox.pk), "account": "acme"}
    assert list(data) == [*shown, "mailbox", "account"]


def test_transcription_is_part_of_its_event(account, mailbox):
    endpoint = create_webhook(account, events=["message.transcribed"])
    message = leave_message(mailbox, "Ann", text="Call me back.")
    message_transcribed.send(type(message), message=message)
    (delivery,) = endpoint.deliveries.all()
    data = get_data(delivery)
    assert (data["transcription"], data["transcription_status"]) == ("Call me back.", "done")


@pytest.mark.parametrize("way", ["alone", "in bulk"])
def test_event_of_a_deleted_message_is_sent_once(account, mailbox, service, way):
    endpoint = create_webhook(account, events=["message.deleted"])
    message = leave_message(mailbox, "Ann")
    path = f"/voip/mailbox/{mailbox.pk}/messages"
    for _twice in range(2):
        if way == "alone":
            service.delete(f"{path}/{message.pk}")
        else:
            service.post(f"{path}/bulk", {"action": "delete", "uuids": [str(message.pk)]})
    assert list_events(endpoint) == ["message.deleted"]


def test_webhook_gets_only_the_events_that_it_wants(account, mailbox):
    endpoint = create_webhook(account, events=["message.deleted", "mailbox.created"])
    leave_message(mailbox, "Ann")
    assert list_events(endpoint) == []


def test_webhooks_of_resellers_get_events_if_they_include_customers(mailbox, account, stranger):
    reseller, top = (Account.objects.create(name=name) for name in ("reseller", "top"))
    sibling = Account.objects.create(name="sibling", reseller=reseller)
    customer = Account.objects.create(name="customer", reseller=account)
    reseller.reseller, account.reseller = top, reseller
    reseller.save()
    account.save()
    wanting = [create_webhook(each, include_customers=True) for each in (account, reseller, top)]
    others = [
        create_webhook(each, include_customers=True) for each in (sibling, customer, stranger)
    ]
    others += [create_webhook(each) for each in (reseller, top)]
    leave_message(mailbox, "Ann")
    assert [list_events(endpoint) for endpoint in wanting] == [["message.received"]] * 3
    assert [list_events(endpoint) for endpoint in others] == [[]] * 5


@pytest.mark.parametrize("state", ["webhook off", "account suspended"])
def test_event_is_not_stored_for_a_webhook_that_is_off(account, mailbox, state):
    endpoint = create_webhook(account)
    if state == "webhook off":
        endpoint.change(is_active=False)
    else:
        account.suspend()
    leave_message(mailbox, "Ann")
    assert list_events(endpoint) == []


def test_event_of_a_message_that_is_not_stored_is_not_sent(account, mailbox, settings):
    create_webhook(account)
    settings.MESSAGES_PER_MAILBOX = 0
    program = InProcess(headers_for(account))
    answer = program.post(f"/voip/mailbox/{mailbox.pk}/messages", **make_form(make_wav()))
    assert answer.status == 507
    assert WebhookDelivery.objects.count() == 0
