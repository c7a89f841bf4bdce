"""Messages in mailboxes, for tests."""

from datetime import timedelta

from django.utils import timezone

from mailboxes.audio.recordings import Recording
from mailboxes.models import Message
from tests.recordings import make_samples


def leave_message(mailbox, name="", *, text=None, hours_ago=0, seconds=1.0, **values) -> Message:
    """Leave a message of this caller, received some hours ago, with this transcription."""
    at = timezone.now() - timedelta(hours=hours_ago)
    recording = Recording(8_000, make_samples(seconds).tobytes())
    message, _is_new = Message.receive(
        mailbox, recording, caller_id_name=name, **({"received_at": at} | values)
    )
    if text is not None:
        message.transcription = text
        message.transcription_status = Message.Status.DONE
        message.save()
    return message
