"""Enqueue tasks when messages change."""

from django.dispatch import receiver

from mailboxes.delivery.transcription import transcribe_message
from mailboxes.models.signals import transcription_requested


@receiver(transcription_requested)
def enqueue_transcription(message, **kwargs) -> None:
    transcribe_message.enqueue(str(message.pk))
