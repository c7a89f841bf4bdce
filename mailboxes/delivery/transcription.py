"""Transcription of messages."""

from uuid import UUID

from django.utils.translation import gettext_lazy

from mailboxes.audio.recordings import Recording
from mailboxes.delivery.jobs import PermanentError, TemporaryError, retry, task
from mailboxes.delivery.transcribers import (
    RecordingRefusedError,
    Transcriber,
    TranscriberError,
    get_transcriber,
)
from mailboxes.encryption import DamagedError, UnknownKeyError
from mailboxes.models import Message
from mailboxes.models.transcriptions import Segment

# A transcriber that is down for a night gets the messages of that night in the morning.
DELAYS = [30, 120, 600, 3600, 3 * 3600, 6 * 3600, 12 * 3600]  # seconds


@task(queue_name="speech")
def transcribe_message(uuid: str) -> None:
    """Transcribe the message if it waits for that, and save the outcome.

    A deleted message is left alone: its restore requests the transcription again. A message of a
    deleted mailbox is transcribed, because the mailbox may be restored.
    """
    message = Message.waiting().filter(pk=uuid).first()
    if message is None:
        return
    transcriber = get_transcriber()
    if transcriber is None:  # it was removed from the settings meanwhile
        Message.finish_transcription(message.pk, Message.Status.OFF)
        return
    segments = find_segments(transcriber, message)
    status = Message.Status.DONE if segments else Message.Status.NO_SPEECH
    Message.finish_transcription(message.pk, status, segments)


def find_segments(transcriber: Transcriber, message: Message) -> list[Segment]:
    """Return what the transcriber finds. Raises PermanentError, TemporaryError."""
    try:
        recording = Recording.from_wav(message.read_recording())
        return transcriber.transcribe(recording)
    except RecordingRefusedError as error:
        raise PermanentError(str(error)) from None
    except DamagedError:
        raise PermanentError("The recording cannot be decrypted: it was damaged.") from None
    except UnknownKeyError as error:
        raise TemporaryError(
            f"The message cannot be decrypted: its key {error.key} is not in PASS_CODE_KEYS."
        ) from None
    except TranscriberError as error:
        raise TemporaryError(str(error)) from None
    except OSError as error:
        raise TemporaryError(f"The recording cannot be transcribed: {error}") from error


def give_up(result) -> None:
    """Mark the message as failed, in the transaction that gives up its task."""
    Message.finish_transcription(UUID(result.args[0]), Message.Status.FAILED)


def find_message(uuid: str) -> Message | None:
    return Message.objects.select_related("mailbox").filter(pk=uuid).first()


retry(
    transcribe_message,
    delays=DELAYS,
    give_up=give_up,
    title=gettext_lazy("Transcribe a message"),
    find_subject=find_message,
)
