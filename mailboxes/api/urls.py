"""URL configuration of the API.

A trailing slash is optional, without a redirect: that would lose the body of a POST.
"""

from django.urls import re_path

from mailboxes.api.message_views import MessageListView, MessageViewSet, RecordingView
from mailboxes.api.sound_views import ContentURLView, SoundViewSet
from mailboxes.api.views import (
    AuthenticatedView,
    EmptyListView,
    MailboxViewSet,
    RecipientViewSet,
    SchemaView,
)
from mailboxes.api.webhook_views import WebhookViewSet
from mailboxes.contract import EMPTY_LISTS, MAILBOXES, SOUNDS, UUID_TEXT, WEBHOOKS

MAILBOX = rf"{MAILBOXES}/(?P<uuid>{UUID_TEXT})"
RECIPIENTS = rf"{MAILBOXES}/(?P<mailbox_uuid>{UUID_TEXT})/email-recipient"
MESSAGES = rf"{MAILBOXES}/(?P<mailbox_uuid>{UUID_TEXT})/messages"
MESSAGE = rf"{MESSAGES}/(?P<uuid>{UUID_TEXT})"
WEBHOOK = rf"{WEBHOOKS}/(?P<uuid>{UUID_TEXT})"
SOUND = rf"{SOUNDS}/(?P<uuid>{UUID_TEXT})"
DELIVERIES = f"{WEBHOOK}/deliveries"
RECIPIENT = rf"{RECIPIENTS}/(?P<uuid>{UUID_TEXT})"

LIST_ACTIONS: dict = {"get": "list", "post": "create"}
RECIPIENT_ACTIONS: dict = {"get": "retrieve", "put": "update", "delete": "destroy"}
MAILBOX_ACTIONS = RECIPIENT_ACTIONS | {"patch": "partial_update"}
MESSAGE_ACTIONS: dict = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}


def command(path, view, name):
    return re_path(rf"^{path}/?\Z", view, name=name)


urlpatterns = [
    command("authenticated", AuthenticatedView.as_view(), "authenticated"),
    *(command(f"voip/{name}", EmptyListView.as_view(), f"{name}-list") for name in EMPTY_LISTS),
    command("voip/schema", SchemaView.as_view(), "schema"),
    command(MAILBOXES, MailboxViewSet.as_view(LIST_ACTIONS), "mailbox-list"),
    command(MAILBOX, MailboxViewSet.as_view(MAILBOX_ACTIONS), "mailbox-detail"),
    command(
        rf"{MAILBOX}/history",
        MailboxViewSet.as_view({"get": "history"}, with_deleted=True),
        "mailbox-history",
    ),
    command(
        rf"{MAILBOX}/restore",
        MailboxViewSet.as_view({"post": "restore"}, with_deleted=True, takes_body=False),
        "mailbox-restore",
    ),
    command(RECIPIENTS, RecipientViewSet.as_view(LIST_ACTIONS), "recipient-list"),
    command(MESSAGES, MessageListView.as_view(LIST_ACTIONS), "message-list"),
    command(
        rf"{MESSAGES}/bulk",
        MessageViewSet.as_view({"post": "bulk"}, with_deleted=True),
        "message-bulk",
    ),
    command(MESSAGE, MessageViewSet.as_view(MESSAGE_ACTIONS), "message-detail"),
    command(
        rf"{MESSAGE}/restore",
        MessageViewSet.as_view({"post": "restore"}, with_deleted=True, takes_body=False),
        "message-restore",
    ),
    command(
        rf"{MESSAGE}/recording", RecordingView.as_view({"get": "retrieve"}), "message-recording"
    ),
    command(RECIPIENT, RecipientViewSet.as_view(RECIPIENT_ACTIONS), "recipient-detail"),
    command(SOUNDS, SoundViewSet.as_view(LIST_ACTIONS), "sound-list"),
    command(SOUND, SoundViewSet.as_view(MESSAGE_ACTIONS), "sound-detail"),
    command(
        f"{SOUND}/content-url", ContentURLView.as_view({"get": "retrieve"}), "sound-content-url"
    ),
    command(
        f"{SOUND}/restore",
        SoundViewSet.as_view({"post": "restore"}, with_deleted=True, takes_body=False),
        "sound-restore",
    ),
    command(WEBHOOKS, WebhookViewSet.as_view(LIST_ACTIONS), "webhook-list"),
    command(WEBHOOK, WebhookViewSet.as_view(MESSAGE_ACTIONS), "webhook-detail"),
    command(
        f"{WEBHOOK}/rotate",
        WebhookViewSet.as_view({"post": "rotate"}, takes_body=False),
        "webhook-rotate",
    ),
    command(DELIVERIES, WebhookViewSet.as_view({"get": "deliveries"}), "delivery-list"),
    command(
        rf"{DELIVERIES}/(?P<id>{UUID_TEXT})/replay",
        WebhookViewSet.as_view({"post": "replay"}, takes_body=False),
        "delivery-replay",
    ),
]
