"""Receivers of signals: they enqueue tasks when messages change."""

from django.dispatch import receiver

from mailboxes.delivery import webhooks
from mailboxes.delivery.mail import enqueue_mails, enqueue_waiting_mails
from mailboxes.delivery.transcription import transcribe_message
from mailboxes.models.signals import (
    message_deleted,
    message_received,
    message_transcribed,
    transcription_requested,
)

EVENTS = {
    message_received: "message.received",
    message_transcribed: "message.transcribed",
    message_deleted: "message.deleted",
}

message_received.connect(enqueue_mails)
message_transcribed.connect(enqueue_waiting_mails)


@receiver(transcription_requested)
def enqueue_transcription(message, **kwargs) -> None:
    transcribe_message.enqueue(str(message.pk))


@receiver(list(EVENTS))
def send_webhooks(signal, message, **kwargs) -> None:
    webhooks.send_message_event(message, EVENTS[signal])
