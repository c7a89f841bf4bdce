"""The API's paths: with or without a trailing slash, served alike, never by a redirect."""

from django.urls import re_path

from mailboxes.api.views import AuthenticatedView, MailboxViewSet, RecipientViewSet, SchemaView
from mailboxes.contract import MAILBOXES, UUID_TEXT

MAILBOX = rf"{MAILBOXES}/(?P<uuid>{UUID_TEXT})"
RECIPIENTS = rf"{MAILBOXES}/(?P<mailbox_uuid>{UUID_TEXT})/email-recipient"
RECIPIENT = rf"{RECIPIENTS}/(?P<uuid>{UUID_TEXT})"

MANY: dict = {"get": "list", "post": "create"}
ONE: dict = {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
ONE_WHOLE = {method: action for method, action in ONE.items() if method != "patch"}


def command(path, view, name):
    return re_path(rf"^{path}/?\Z", view, name=name)


urlpatterns = [
    command("authenticated", AuthenticatedView.as_view(), "authenticated"),
    command("voip/schema", SchemaView.as_view(), "schema"),
    command(MAILBOXES, MailboxViewSet.as_view(MANY), "mailbox-list"),
    command(MAILBOX, MailboxViewSet.as_view(ONE), "mailbox-detail"),
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
    command(RECIPIENTS, RecipientViewSet.as_view(MANY), "recipient-list"),
    command(RECIPIENT, RecipientViewSet.as_view(ONE_WHOLE), "recipient-detail"),
]
