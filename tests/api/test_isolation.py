"""A table of statuses: accounts cannot read or change the rows of other accounts."""

from functools import partial

import pytest

from mailboxes.delivery.webhooks import send
from mailboxes.models import (
    Account,
    ApiCredential,
    EmailRecipient,
    Mailbox,
    Message,
    Sound,
    WebhookDelivery,
    WebhookEndpoint,
)
from tests.conftest import headers_for
from tests.delivery.webhooks import create_webhook
from tests.recordings import make_form, make_recording, make_wav
from tests.service import InProcess
from tests.sounds import create_sound

MAILBOX = "/voip/mailbox/{mailbox}"
RECIPIENTS = "/voip/mailbox/{mailbox}/email-recipient"
RECIPIENT = "/voip/mailbox/{mailbox}/email-recipient/{recipient}"
# The owner's recipient under the caller's own mailbox.
MIXED = "/voip/mailbox/{own}/email-recipient/{recipient}"
MESSAGES = "/voip/mailbox/{mailbox}/messages"
BULK = "/voip/mailbox/{mailbox}/messages/bulk"
MESSAGE = "/voip/mailbox/{mailbox}/messages/{message}"
RECORDING = "/voip/mailbox/{mailbox}/messages/{message}/recording"
RESTORE = "/voip/mailbox/{mailbox}/messages/{message}/restore"
MIXED_MESSAGE = "/voip/mailbox/{own}/messages/{message}"
MIXED_RECORDING = "/voip/mailbox/{own}/messages/{message}/recording"
WEBHOOK = "/voip/webhook/{webhook}"
SOUND = "/voip/sound/{sound}"
CONTENT_URL = "/voip/sound/{sound}/content-url"
RESTORE_SOUND = "/voip/sound/{sound}/restore"
ROTATE = "/voip/webhook/{webhook}/rotate"
DELIVERIES = "/voip/webhook/{webhook}/deliveries"
REPLAY = "/voip/webhook/{webhook}/deliveries/{delivery}/replay"
MIXED_REPLAY = "/voip/webhook/{own_webhook}/deliveries/{delivery}/replay"

# The status of each call for the mailbox, recipient and message of `owner`. `reseller` acts for the owner with
# X-Auth-For, and `alone` is the reseller without it. `posing` is a stranger who tries to.
CALLERS = ["owner", "reseller", "alone", "stranger", "sibling", "customer", "posing", "anonymous"]
TABLE = [
    # method, path,     owner, reseller, alone, stranger, sibling, customer, posing, anonymous
    ("GET", MAILBOX, 200, 200, 404, 404, 404, 404, 403, 401),
    ("PUT", MAILBOX, 200, 200, 404, 404, 404, 404, 403, 401),
    ("PATCH", MAILBOX, 200, 200, 404, 404, 404, 404, 403, 401),
    ("DELETE", MAILBOX, 204, 204, 404, 404, 404, 404, 403, 401),
    ("GET", RECIPIENTS, 200, 200, 404, 404, 404, 404, 403, 401),
    ("POST", RECIPIENTS, 201, 201, 404, 404, 404, 404, 403, 401),
    ("GET", RECIPIENT, 200, 200, 404, 404, 404, 404, 403, 401),
    ("PUT", RECIPIENT, 200, 200, 404, 404, 404, 404, 403, 401),
    ("DELETE", RECIPIENT, 204, 204, 404, 404, 404, 404, 403, 401),
    ("GET", MIXED, 404, 404, 404, 404, 404, 404, 403, 401),
    ("PUT", MIXED, 404, 404, 404, 404, 404, 404, 403, 401),
    ("DELETE", MIXED, 404, 404, 404, 404, 404, 404, 403, 401),
    ("GET", MESSAGES, 200, 200, 404, 404, 404, 404, 403, 401),
    ("POST", MESSAGES, 201, 201, 404, 404, 404, 404, 403, 401),
    ("POST", BULK, 200, 200, 404, 404, 404, 404, 403, 401),
    ("GET", MESSAGE, 200, 200, 404, 404, 404, 404, 403, 401),
    ("PATCH", MESSAGE, 200, 200, 404, 404, 404, 404, 403, 401),
    ("DELETE", MESSAGE, 204, 204, 404, 404, 404, 404, 403, 401),
    ("POST", RESTORE, 200, 200, 404, 404, 404, 404, 403, 401),
    ("GET", RECORDING, 200, 200, 404, 404, 404, 404, 403, 401),
    ("HEAD", RECORDING, 200, 200, 404, 404, 404, 404, 403, 401),
    ("GET", MIXED_MESSAGE, 404, 404, 404, 404, 404, 404, 403, 401),
    ("PATCH", MIXED_MESSAGE, 404, 404, 404, 404, 404, 404, 403, 401),
    ("DELETE", MIXED_MESSAGE, 404, 404, 404, 404, 404, 404, 403, 401),
    ("GET", MIXED_RECORDING, 404, 404, 404, 404, 404, 404, 403, 401),
    ("GET", SOUND, 200, 200, 404, 404, 404, 404, 403, 401),
    ("GET", CONTENT_URL, 200, 200, 404, 404, 404, 404, 403, 401),
    ("PATCH", SOUND, 200, 200, 404, 404, 404, 404, 403, 401),
    ("DELETE", SOUND, 204, 204, 404, 404, 404, 404, 403, 401),
    ("POST", RESTORE_SOUND, 200, 200, 404, 404, 404, 404, 403, 401),
    ("GET", WEBHOOK, 200, 200, 404, 404, 404, 404, 403, 401),
    ("PATCH", WEBHOOK, 200, 200, 404, 404, 404, 404, 403, 401),
    ("DELETE", WEBHOOK, 204, 204, 404, 404, 404, 404, 403, 401),
    ("POST", ROTATE, 200, 200, 404, 404, 404, 404, 403, 401),
    ("GET", DELIVERIES, 200, 200, 404, 404, 404, 404, 403, 401),
    ("POST", REPLAY, 202, 202, 404, 404, 404, 404, 403, 401),
    ("POST", MIXED_REPLAY, 404, 404, 404, 404, 404, 404, 403, 401),
    ("OPTIONS", MAILBOX, 405, 405, 405, 405, 405, 405, 405, 405),
    ("POST", MAILBOX, 405, 405, 405, 405, 405, 405, 405, 405),
    ("GET", "/voip/unknown", 404, 404, 404, 404, 404, 404, 404, 404),
]
BODY = {"name": "Changed", "email": "changed@example.com", "heard": True, "action": "delete"}
BODY |= {"url": "https://example.com/changed"}


@pytest.fixture
def owner(db):
    reseller = Account.objects.create(name="reseller")
    owner = Account.objects.create(name="owner", reseller=reseller)
    Account.objects.create(name="sibling", reseller=reseller)
    Account.objects.create(name="customer", reseller=owner)
    Account.objects.create(name="stranger")
    for account in Account.objects.all():
        Mailbox.objects.create(account=account, name=f"Box of {account}")
    mailbox = Mailbox.objects.get(account=owner)
    mailbox.add_recipient("pete@example.com")
    Message.receive(mailbox, make_recording(), caller_id_name="Caller of owner")
    create_sound(owner, "Sound of owner")
    webhook = create_webhook(owner, "https://example.com/of-owner")
    send(webhook, "message.received", {"caller_id_name": "Caller of owner"})
    return owner


def connect(caller):
    """Return the service as one of CALLERS calls it, and a mailbox of that caller."""
    if caller == "anonymous":
        return InProcess(), Mailbox.objects.get(name="Box of stranger")
    name = {"alone": "reseller", "posing": "stranger"}.get(caller, caller)
    account = Account.objects.get(name=name)
    headers = headers_for(account, caller)
    if caller in ("reseller", "posing"):
        headers["X-Auth-For"] = "owner"
    second = Mailbox.objects.create(
        account=Account.objects.get(name="owner") if caller in ("owner", "reseller") else account,
        name="Second",
    )
    return InProcess(headers), second


def read_rows():
    """Return the owner's rows as the database has them."""
    mailboxes = Mailbox.objects.filter(account__name="owner").order_by("pk").values()
    recipients = EmailRecipient.objects.order_by("pk").values()
    messages = Message.objects.order_by("pk").values()
    webhooks = WebhookEndpoint.objects.filter(account__name="owner").order_by("pk").values()
    deliveries = WebhookDelivery.objects.order_by("pk").values()
    sounds = Sound.objects.filter(account__name="owner").order_by("pk").values()
    return [list(rows) for rows in (mailboxes, recipients, messages, sounds, webhooks, deliveries)]


def prepare_call(caller, method, path):
    """Return a function that makes a call for the owner's rows as one of CALLERS."""
    service, own = connect(caller)
    recipient = EmailRecipient.objects.get()
    message = Message.objects.get()
    delivery = WebhookDelivery.objects.get()
    own_webhook = create_webhook(own.account)
    call = {"body": BODY | {"uuids": [str(message.pk)]}}
    if (method, path) == ("POST", MESSAGES):
        call = make_form(make_wav())
    path = path.format(
        mailbox=recipient.mailbox_id,
        recipient=recipient.pk,
        message=message.pk,
        own=own.pk,
        sound=Sound.objects.get(account__name="owner").pk,
        webhook=delivery.endpoint_id,
        delivery=delivery.pk,
        own_webhook=own_webhook.pk,
    )
    return partial(service.call, method, path, **call)


@pytest.mark.parametrize(
    ("method", "path", "caller", "status"),
    [
        (method, path, caller, status)
        for method, path, *statuses in TABLE
        for caller, status in zip(CALLERS, statuses, strict=True)
        if status < 400
    ],
)
def test_owner_and_its_reseller_are_permitted(owner, method, path, caller, status):
    assert prepare_call(caller, method, path)().status == status


@pytest.mark.parametrize(("method", "path", "statuses"), [(m, p, s) for m, p, *s in TABLE])
def test_refused_callers_change_nothing_and_see_nothing(owner, method, path, statuses):
    for caller, status in zip(CALLERS, statuses, strict=True):
        if status >= 400:
            call = prepare_call(caller, method, path)
            before = read_rows()
            answer = call()
            assert answer.status == status, caller
            assert read_rows() == before, caller
            assert b"of owner" not in answer.body, caller
            assert b"of-owner" not in answer.body, caller
            assert b"RIFF" not in answer.body, caller


def test_message_of_another_account_cannot_be_changed_in_bulk(owner):
    service, own = connect("stranger")
    message = Message.objects.get()
    body = {"action": "delete", "uuids": [str(message.pk)]}
    answer = service.post(BULK.format(mailbox=own.pk), body)
    failed = [{"uuid": str(message.pk), "code": "not_found"}]
    assert answer.result == {"done": [], "failed": failed}
    assert Message.objects.get().version == 1


@pytest.mark.parametrize("name", ["owner", "reseller", "sibling", "customer", "stranger"])
def test_list_has_only_the_accounts_own_mailboxes(owner, name):
    service = InProcess(headers_for(Account.objects.get(name=name)))
    assert [box["name"] for box in service.get("/voip/mailbox").result] == [f"Box of {name}"]


@pytest.mark.parametrize("name", ["owner", "reseller", "sibling", "customer", "stranger"])
def test_list_has_only_the_accounts_own_sounds(owner, name):
    service = InProcess(headers_for(Account.objects.get(name=name)))
    assert len(service.get("/voip/sound").result) == (1 if name == "owner" else 0)


@pytest.mark.parametrize("name", ["owner", "reseller", "sibling", "stranger", "customer"])
def test_list_has_only_the_accounts_own_webhooks(owner, name):
    service = InProcess(headers_for(Account.objects.get(name=name)))
    assert len(service.get("/voip/webhook").result) == (1 if name == "owner" else 0)


def test_mailbox_cannot_be_moved_to_another_account(owner):
    service = InProcess(headers_for(owner))
    mailbox = Mailbox.objects.get(account=owner)
    for account in ("stranger", Account.objects.get(name="stranger").pk):
        service.put(f"/voip/mailbox/{mailbox.pk}", {"name": "x", "account": account})
    mailbox.refresh_from_db()
    assert mailbox.account == owner
    assert ApiCredential.objects.count() == 1
