"""The data of webhooks' events: a message or a mailbox, without recording and pass code."""

from datetime import UTC, datetime

from mailboxes.contract import MAILBOX_KEYS, MESSAGE_KEYS
from mailboxes.models import EmailRecipient, Mailbox, Message

EVENT_MAILBOX_KEYS = [key for key in MAILBOX_KEYS if key != "password"]


def format_moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def describe_message(message: Message) -> dict:
    """Return the message as the API shows it, with its mailbox and account."""
    values = {
        "caller_id_name": message.caller_id_name or None,
        "caller_id_number": message.caller_id_number or None,
        "duration": message.duration,
        "heard": message.is_heard,
        "received_at": format_moment(message.received_at),
        "transcription": message.readable_transcription,
        "transcription_status": message.transcription_status,
        "uuid": str(message.pk),
    }
    mailbox = message.mailbox
    described = {key: values[key] for key in MESSAGE_KEYS}
    return described | {"mailbox": str(mailbox.pk), "account": mailbox.account.name}


def describe_mailbox(mailbox: Mailbox) -> dict:
    """Return the mailbox as the API shows it, without the pass code, with its account."""
    values = {
        key: getattr(mailbox, key)
        for key in ("beep", "name", "play_caller_id", "play_timestamp", "transcribe")
    }
    values |= describe_dates(mailbox)
    values["greeting"] = mailbox.greeting and str(mailbox.greeting)
    values["email_recipients"] = [*map(describe_dates, mailbox.email_recipients.all())]
    described = {key: values[key] for key in EVENT_MAILBOX_KEYS}
    return described | {"account": mailbox.account.name}


def describe_dates(row: Mailbox | EmailRecipient) -> dict:
    return {
        "created_on": row.created_on.isoformat(),
        "updated_on": row.updated_on.isoformat(),
        "uuid": str(row.pk),
    }
