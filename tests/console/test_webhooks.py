"""Webhooks of an account: add, edit, rotate and delete them, and the events sent to them."""

from html import unescape

import pytest

from mailboxes.delivery.webhooks import send
from mailboxes.encryption import KeyRing
from mailboxes.models import WebhookDelivery, WebhookEndpoint
from tests.console.conftest import list_messages, sign_in_with
from tests.console.pages import get_errors, get_form_values, get_text, read_log
from tests.delivery.running import run_tasks
from tests.delivery.webhooks import create_webhook

NEW = "/accounts/acme/webhooks/new/"
URL = "https://example.com/hook"
FIELDS = {"url": URL, "events": ["message.received", "mailbox.deleted"], "is_active": "on"}


@pytest.fixture
def webhook(account):
    return create_webhook(account)


def get_address(webhook, page="") -> str:
    return f"/accounts/{webhook.account}/webhooks/{webhook.pk}/{page}"


def test_webhook_is_added_and_its_secret_shown_once(manager, account):
    page = manager.post(NEW, FIELDS)
    webhook = WebhookEndpoint.objects.get()
    assert webhook.account == account
    assert webhook.events == ["message.received", "mailbox.deleted"]
    assert webhook.secret in page.text
    assert read_log()[0][1] == f"Webhook {webhook.pk}"
    for address in ("/accounts/acme/", get_address(webhook), get_address(webhook, "edit/")):
        text = manager.get(address).text
        assert webhook.url in text
        assert webhook.secret not in text
        assert webhook.secret not in unescape(text)


def test_form_sent_twice_adds_one_webhook(manager, account):
    form = FIELDS | {"csrfmiddlewaretoken": "token"}
    first, second = (manager.post(NEW, form) for _ in range(2))
    webhook = WebhookEndpoint.objects.get()
    assert webhook.secret in first.text
    assert webhook.secret in second.text


@pytest.mark.parametrize(
    ("field", "value"),
    [("url", "https://10.0.0.1/"), ("url", ""), ("url", "x"), ("events", []), ("events", ["x"])],
)
def test_wrong_value_is_refused_at_its_field(manager, account, field, value):
    assert list(get_errors(manager.post(NEW, FIELDS | {field: value}))) == [field]
    assert not WebhookEndpoint.objects.exists()


def test_webhook_is_edited(manager, webhook):
    address = get_address(webhook, "edit/")
    values = get_form_values(manager.get(address))
    values |= {"url": "https://example.com/new", "events": ["mailbox.created"]}
    response = manager.post(address, values, follow=True)
    assert list_messages(response) == ["The webhook was changed."]
    webhook.refresh_from_db()
    assert (webhook.url, webhook.events) == ("https://example.com/new", ["mailbox.created"])
    assert read_log() == [("manager", f"Webhook {webhook.pk}", "Changed Address and Events.")]


def test_webhook_is_switched_off_and_on(manager, webhook):
    address = get_address(webhook, "edit/")
    values = get_form_values(manager.get(address))
    del values["is_active"]
    manager.post(address, values)
    webhook.refresh_from_db()
    assert (webhook.is_active, webhook.active_since) == (False, None)
    assert "Send a test event" not in manager.get(get_address(webhook)).text
    manager.post(address, get_form_values(manager.get(address)) | {"is_active": "on"})
    webhook.refresh_from_db()
    assert webhook.is_active
    assert webhook.active_since is not None


def test_page_says_why_a_webhook_was_switched_off(manager, webhook):
    webhook.switch_off(WebhookEndpoint.OffReason.FAILING)
    text = get_text(manager.get(get_address(webhook)))
    assert "It was switched off: Every attempt of five days failed." in text


def test_rotated_secret_is_shown_once(manager, webhook):
    old = webhook.secret
    address = get_address(webhook, "rotate/")
    assert old not in manager.get(address).text
    page = manager.post(address, {"version": 1})
    webhook.refresh_from_db()
    assert webhook.signing_secrets == [webhook.secret, old]
    assert webhook.secret in page.text
    assert old not in page.text
    assert read_log() == [("manager", f"Webhook {webhook.pk}", "Secret replaced.")]


def test_double_click_rotates_once(manager, webhook):
    old = webhook.secret
    form = {"csrfmiddlewaretoken": "token", "version": 1}
    first, second = (manager.post(get_address(webhook, "rotate/"), form) for _ in range(2))
    webhook.refresh_from_db()
    assert webhook.signing_secrets == [webhook.secret, old]
    assert webhook.secret in first.text
    assert webhook.secret in second.text


def test_old_form_does_not_bring_an_old_secret_back(manager, webhook):
    address = get_address(webhook, "rotate/")
    old_form = {"csrfmiddlewaretoken": "token", "version": 1}
    assert '<input type="hidden" name="version" value="1">' in manager.get(address).text
    manager.post(address, old_form)
    manager.post(address, {"csrfmiddlewaretoken": "other", "version": 2})
    secret = WebhookEndpoint.objects.get().secret
    response = manager.post(address, old_form, follow=True)
    assert list_messages(response) == [
        "The webhook was changed meanwhile. Its secret was not replaced."
    ]
    assert WebhookEndpoint.objects.get().secret == secret
    assert secret not in response.text


def test_secret_without_its_key_is_not_rotated(manager, webhook, settings):
    settings.PASS_CODE_KEYS = KeyRing([b"0" * 32])
    response = manager.post(get_address(webhook, "rotate/"), {"version": 1}, follow=True)
    assert "cannot be decrypted" in list_messages(response)[0]


def test_webhook_is_deleted_with_its_events(manager, webhook):
    send(webhook, "mailbox.created", {})
    assert manager.get(get_address(webhook, "delete/")).status_code == 200
    response = manager.post(get_address(webhook, "delete/"), follow=True)
    assert list_messages(response) == ["The webhook was deleted."]
    assert not WebhookEndpoint.objects.exists()
    assert not WebhookDelivery.objects.exists()


def test_test_event_is_sent_and_its_answer_shown(manager, account, receiver):
    webhook = create_webhook(account, receiver.url)
    receiver.status, receiver.answer = 500, b"<b>broken</b>"
    response = manager.post(get_address(webhook, "test/"), follow=True)
    assert list_messages(response)[0].startswith("A test event is being sent.")
    run_tasks()
    page = manager.get(response.redirect_chain[-1][0])
    text = get_text(page)
    assert "webhook.test" in text
    assert "500" in text
    assert "&lt;b&gt;broken&lt;/b&gt;" in page.text
    assert "Next attempt" in text


def test_event_is_sent_again(manager, account, receiver):
    webhook = create_webhook(account, receiver.url)
    delivery = send(webhook, "mailbox.created", {"name": "<script>"})
    run_tasks()
    address = get_address(webhook, f"deliveries/{delivery.pk}/")
    page = manager.get(address)
    assert "Send again" in page.text
    assert "<script>" not in page.text.partition("Request")[2].partition("Attempts")[0]
    manager.post(f"{address}again/")
    run_tasks()
    assert len(receiver.requests) == 2
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("delivered", 2)


def test_event_of_a_webhook_that_is_off_is_not_sent(manager, webhook):
    delivery = send(webhook, "mailbox.created", {})
    webhook.change(is_active=False)
    for page in ("test/", f"deliveries/{delivery.pk}/again/"):
        response = manager.post(get_address(webhook, page), follow=True)
        assert list_messages(response)[0].startswith("Nothing was sent")


def test_event_without_its_key_is_shown_without_its_text(manager, webhook, settings):
    delivery = send(webhook, "mailbox.created", {"name": "Sales"})
    settings.PASS_CODE_KEYS = KeyRing([b"0" * 32])
    page = manager.get(get_address(webhook, f"deliveries/{delivery.pk}/"))
    assert "This event cannot be decrypted" in page.text


def test_reading_the_message_of_an_event_is_logged_once(manager, webhook, message):
    delivery = webhook.deliveries.get(event="message.received")
    body = {"uuid": str(message.pk), "transcription": "Please call me back."}
    delivery = send(webhook, "message.transcribed", body)
    for _ in range(2):
        page = manager.get(get_address(webhook, f"deliveries/{delivery.pk}/"))
        assert "Please call me back." in page.text
    (entry,) = read_log()
    assert entry[2].startswith("Message read: ")


PAGES = ["", "edit/", "rotate/", "delete/", "test/", "deliveries/{delivery}/"]


@pytest.mark.parametrize("page", [*PAGES, "deliveries/{delivery}/again/"])
def test_support_may_not_see_or_change_webhooks(support, webhook, page):
    delivery = send(webhook, "mailbox.created", {})
    address = get_address(webhook, page.format(delivery=delivery.pk))
    method = support.post if page.endswith(("test/", "again/")) else support.get
    assert method(address).status_code == 403
    assert support.get(NEW).status_code == 403
    assert "Webhooks" not in support.get("/accounts/acme/").text


def test_event_needs_the_permission_to_read_messages(webhook):
    browser = sign_in_with("view_webhookendpoint")
    delivery = send(webhook, "message.received", {})
    assert browser.get(get_address(webhook)).status_code == 200
    address = get_address(webhook, f"deliveries/{delivery.pk}/")
    assert browser.get(address).status_code == 403


def test_webhook_under_another_account_is_not_found(manager, webhook, stranger):
    delivery = send(webhook, "mailbox.created", {})
    for page in [*PAGES[:4], f"deliveries/{delivery.pk}/"]:
        assert manager.get(f"/accounts/stranger/webhooks/{webhook.pk}/{page}").status_code == 404
    other = create_webhook(stranger)
    assert manager.get(get_address(other, f"deliveries/{delivery.pk}/")).status_code == 404
