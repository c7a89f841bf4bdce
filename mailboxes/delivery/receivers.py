"""Receivers of signals: they enqueue tasks when messages change."""

from django.dispatch import receiver

from mailboxes.delivery import webhooks
from mailboxes.delivery.mail import enqueue_mails, enqueue_waiting_mails
from mailboxes.delivery.transcription import transcribe_message
from mailboxes.models.signals import (
    message_received,
    message_transcribed,
    messages_deleted,
    transcription_requested,
)

message_received.connect(enqueue_mails)
message_transcribed.connect(enqueue_waiting_mails)


@receiver(transcription_requested)
def enqueue_transcription(message, **kwargs) -> None:
    transcribe_message.enqueue(str(message.pk))


@receiver(message_received)
def send_receipt(message, **kwargs) -> None:
    webhooks.send_message_events([message], "message.received")


@receiver(message_transcribed)
def send_transcription(message, **kwargs) -> None:
    webhooks.send_message_events([message], "message.transcribed")


@receiver(messages_deleted)
def send_deletions(messages, **kwargs) -> None:
    webhooks.send_message_events(messages, "message.deleted")
