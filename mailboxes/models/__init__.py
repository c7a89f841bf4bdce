"""Models."""

from mailboxes.models.accounts import Account
from mailboxes.models.changes import ChangeFeed
from mailboxes.models.credentials import ApiCredential
from mailboxes.models.history import Batch
from mailboxes.models.idempotency import IdempotentAnswer
from mailboxes.models.imports import Import, ImportRow
from mailboxes.models.mail import MailDelivery
from mailboxes.models.mailboxes import EmailRecipient, Mailbox
from mailboxes.models.message_history import MessageHistory
from mailboxes.models.messages import Message
from mailboxes.models.processes import ServerProcess
from mailboxes.models.second_factor import (
    Authenticator,
    AuthenticatorKey,
    RecoveryCode,
    RecoveryDevice,
)
from mailboxes.models.sounds import Sound, SoundAudio
from mailboxes.models.webhooks import WebhookDelivery, WebhookEndpoint

__all__ = [
    "Account",
    "ApiCredential",
    "Authenticator",
    "AuthenticatorKey",
    "Batch",
    "ChangeFeed",
    "EmailRecipient",
    "IdempotentAnswer",
    "Import",
    "ImportRow",
    "MailDelivery",
    "Mailbox",
    "Message",
    "MessageHistory",
    "RecoveryCode",
    "RecoveryDevice",
    "ServerProcess",
    "Sound",
    "SoundAudio",
    "WebhookDelivery",
    "WebhookEndpoint",
]
