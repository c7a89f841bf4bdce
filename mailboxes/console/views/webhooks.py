"""Webhooks of an account, and the events that were sent to them."""

import json
from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mailboxes.console.access import add_success, staff_with
from mailboxes.console.webhook_forms import WebhookForm
from mailboxes.console.writing import (
    atomic_post,
    lock_for_update,
    log_change,
    log_deletion,
    log_saved,
)
from mailboxes.delivery.webhooks import SwitchedOffError, send_again, send_test
from mailboxes.encryption import UnknownKeyError
from mailboxes.history import READ, record_access
from mailboxes.models import Account, Message, WebhookDelivery, WebhookEndpoint
from mailboxes.staff.resubmission import get_form_uuid
from mailboxes.staff.unsent import fill_in

DELIVERIES_PER_PAGE = 50

form_page = require_http_methods(["GET", "HEAD", "POST"])


@form_page
@staff_with("mailboxes.add_webhookendpoint")
@atomic_post
def webhook_add(request, name):
    """Add a webhook. The answer itself shows the secret, so that no session stores it."""
    account = get_object_or_404(lock_for_update(request, Account.objects.all()), name=name)
    secret = WebhookEndpoint.make_secret(get_form_uuid(request))
    newest = account.webhooks.order_by("-created_at", "-uuid").first()
    if request.method == "POST" and newest and has_secret(newest, secret):
        return render_secret(request, newest, secret)  # the second of a double click
    unsaved = WebhookEndpoint(account=account, events=[])
    form = fill_in(request, WebhookForm(request.POST or None, instance=unsaved))
    if form.is_valid():
        webhook = form.save(commit=False)
        webhook.issue(secret)
        log_saved(request, form, is_new=True)
        return render_secret(request, webhook, secret)
    return render(request, "console/webhook_add.html", {"account": account, "form": form})


def has_secret(webhook: WebhookEndpoint, secret: str) -> bool:
    try:
        return webhook.secret == secret
    except UnknownKeyError:
        return False


def render_secret(request, webhook, secret):
    context = {"webhook": webhook, "secret": secret}
    return render(request, "console/webhook_secret.html", context)


@require_safe
@staff_with("mailboxes.view_webhookendpoint")
def webhook(request, name, uuid):
    found = get_webhook(request, name, uuid)
    deliveries = found.deliveries.defer("content_sealed")
    page = Paginator(deliveries, DELIVERIES_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "console/webhook.html", {"webhook": found, "page": page})


@form_page
@staff_with("mailboxes.change_webhookendpoint")
@atomic_post
def webhook_edit(request, name, uuid):
    """Change a webhook, and switch it on or off."""
    webhook = get_webhook(request, name, uuid)
    form = fill_in(request, WebhookForm(request.POST or None, instance=webhook))
    if form.is_valid():
        if form.has_changed():
            form.save()
            log_saved(request, form)
            add_success(request, _("The webhook was changed."))
        return redirect("console:webhook", name, uuid)
    return render(request, "console/webhook_edit.html", {"webhook": webhook, "form": form})


@form_page
@staff_with("mailboxes.change_webhookendpoint")
@atomic_post
def webhook_rotate(request, name, uuid):
    """Replace the secret. The answer itself shows the new one."""
    webhook = get_webhook(request, name, uuid)
    if request.method != "POST":
        return render(request, "console/webhook_rotate.html", {"webhook": webhook})
    secret = WebhookEndpoint.make_secret(get_form_uuid(request))
    try:
        if webhook.secret != secret:  # not the second of a double click
            if request.POST.get("version") != str(webhook.version):
                # The form may be an old one, which would bring its old secret back.
                messages.error(
                    request, _("The webhook was changed meanwhile. Its secret was not replaced.")
                )
                return redirect("console:webhook-rotate", name, uuid)
            webhook.rotate(secret)
            log_change(request, webhook, "Secret replaced.")
    except UnknownKeyError:
        messages.error(
            request, _("The secret cannot be decrypted, so it cannot be replaced. Add a webhook.")
        )
        return redirect("console:webhook", name, uuid)
    return render_secret(request, webhook, secret)


@form_page
@staff_with("mailboxes.delete_webhookendpoint")
@atomic_post
def webhook_delete(request, name, uuid):
    """Show the effects, and delete the webhook on POST."""
    webhook = get_webhook(request, name, uuid)
    if request.method == "POST":
        log_deletion(request, webhook)
        webhook.delete()
        add_success(request, _("The webhook was deleted."))
        return redirect("console:account", name)
    return render(request, "console/webhook_delete.html", {"webhook": webhook})


@require_POST
@staff_with("mailboxes.change_webhookendpoint")
@atomic_post
def webhook_test(request, name, uuid):
    webhook = get_webhook(request, name, uuid)
    try:
        sent = send_test(webhook)
    except SwitchedOffError:
        warn_of_switched_off(request)
        return redirect("console:webhook", name, uuid)
    add_success(request, _("A test event is being sent. Reload this page to see the answer."))
    return redirect("console:delivery", name, uuid, sent.pk)


@require_safe
@staff_with("mailboxes.view_webhookendpoint", "mailboxes.listen_to_message")
def delivery(request, name, uuid, delivery):
    """Show the request and the answers of an event."""
    webhook = get_webhook(request, name, uuid)
    found = get_object_or_404(webhook.deliveries, pk=delivery)
    try:
        content = found.content
    except UnknownKeyError:
        content = {}
    context = {"webhook": webhook, "delivery": found, "content": content}
    if content:
        body = json.loads(content["body"])
        record_reading(request.user, found, body["data"])
        context["body"] = json.dumps(body, indent=2, ensure_ascii=False)
        context["attempts"] = [
            attempt | {"at": datetime.fromisoformat(attempt["at"])}
            for attempt in reversed(content["attempts"])
        ]
    return render(request, "console/delivery.html", context)


def record_reading(user, delivery: WebhookDelivery, data: dict) -> None:
    """Write to the admin log that the user has read the message of an event, if it has text."""
    if delivery.event.startswith("message.") and data.get("transcription"):
        found = Message.objects.filter(pk=UUID(data["uuid"])).select_related("mailbox")
        if rows := list(found):
            record_access(READ, rows, user)


@require_POST
@staff_with("mailboxes.change_webhookendpoint")
@atomic_post
def delivery_again(request, name, uuid, delivery):
    webhook = get_webhook(request, name, uuid)
    found = get_object_or_404(webhook.deliveries.select_for_update(), pk=delivery)
    found.endpoint = webhook
    try:
        send_again(found)
        add_success(request, _("The event is being sent. Reload this page to see the answer."))
    except SwitchedOffError:
        warn_of_switched_off(request)
    return redirect("console:delivery", name, uuid, delivery)


def warn_of_switched_off(request) -> None:
    messages.warning(
        request, _("Nothing was sent: the webhook is off, or its account is suspended.")
    )


def get_webhook(request, name, uuid):
    """Return the account's webhook, locked on POST. Raises Http404."""
    webhooks = lock_for_update(request, WebhookEndpoint.objects.select_related("account"))
    return get_object_or_404(webhooks, account__name=name, pk=uuid)
