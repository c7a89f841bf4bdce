"""Mails about messages: one for each recipient, with the transcription and the recording."""

import smtplib
from collections.abc import Iterable
from datetime import timedelta
from email.utils import parseaddr
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy

from mailboxes.audio.encoding import encode_mp3
from mailboxes.delivery.jobs import PermanentError, TaskContext, TemporaryError, retry, task
from mailboxes.encryption import DamagedError, UnknownKeyError
from mailboxes.models import ApiCredential, EmailRecipient, Mailbox, MailDelivery, Message
from mailboxes.models.mail import delete_if_mailed
from mailboxes.models.mailboxes import WITHIN_MAILBOX

State = MailDelivery.State

# With these delays, the last attempt is a day after the first.
ATTEMPTS, FIRST_DELAY, LONGEST_DELAY = 30, 60, 3600

# A message's further mails have a lower priority, so that those of other messages go first.
FIRST_MAILS, LATER = 5, -10

TOO_LARGE = 552  # for the server, before it has seen the mail (RFC 1870, 6.1)

# Prevents automatic replies, such as out-of-office mails.
HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}


# --- When mails are sent --------------------------------------------------------------------


def enqueue_mails(message: Message, **kwargs) -> None:
    """Enqueue a mail to each recipient, in the transaction that stores the message.

    Enqueue none if the service sends no mail, or an engine does for this mailbox. A mail waits for the
    transcription for at most MAIL_WAIT_SECONDS.
    """
    if not settings.SENDS_MAIL:
        return
    recipients = EmailRecipient.objects.filter(mailbox=message.mailbox_id)
    addresses = list(recipients.order_by(*WITHIN_MAILBOX).values_list("email", flat=True))
    if not addresses or ApiCredential.objects.mails_for(message.mailbox.account).exists():
        return
    deliveries = [
        MailDelivery(message=message, mailbox_id=message.mailbox_id, email=address)
        for address in addresses
    ]
    MailDelivery.objects.bulk_create(deliveries)
    waits = message.transcription_status == Message.Status.PENDING
    enqueue(deliveries, settings.MAIL_WAIT_SECONDS if waits else 0)


def enqueue_waiting_mails(message: Message, **kwargs) -> None:
    """Enqueue the mails that wait for the transcription. Their earlier tasks then do nothing."""
    waiting = MailDelivery.objects.filter(message=message, state=State.WAITING, task=None)
    enqueue(waiting.order_by("pk"))


def enqueue(deliveries: Iterable[MailDelivery], seconds: int = 0) -> None:
    """Enqueue mails of one message, the first ones before the others."""
    run_after = timezone.now() + timedelta(seconds=seconds) if seconds else None
    for number, delivery in enumerate(deliveries):
        priority = 0 if number < FIRST_MAILS else LATER
        send_mail.using(run_after=run_after, priority=priority).enqueue(delivery.pk)


@task(queue_name="mail", takes_context=True)
def send_mail(context: TaskContext, pk: int) -> None:
    """Send one mail, unless it is not wanted any more, or another task sends it.

    The mail is marked as sent after the server has accepted it. If the worker is killed, or loses
    the server or the database, between the hand-over and that mark, the mail is sent again with
    the same Message-ID.
    """
    delivery = claim(pk, UUID(str(context.task_result.id)))
    if delivery is None:
        return
    if not delivery.is_wanted:
        end(delivery, State.CANCELED)
        return
    try:
        mail = build_mail(delivery)
    except Exception as error:
        is_template = isinstance(error, WrongTemplateError)
        delivery.move(State.WAITING, str(error) if is_template else "The recording cannot be read.")
        raise
    try:
        mail.send()
    except (OSError, ValueError) as error:
        failure, answer = judge(error)
        is_permanent = isinstance(failure, PermanentError)
        delivery.move(State.FAILED if is_permanent else State.WAITING, answer)
        raise failure from None
    end(delivery, State.SENT)


@transaction.atomic
def claim(pk: int, task_id: UUID) -> MailDelivery | None:
    """Return the mail if this task may send it now.

    None if it has ended, belongs to another task, or its message or mailbox was removed.
    """
    rows = MailDelivery.objects.select_related("message", "mailbox__account")
    delivery = rows.select_for_update(of=("self",)).filter(pk=pk).first()
    if delivery is None or delivery.state in (State.SENT, State.CANCELED):
        return None
    if delivery.task not in (None, task_id):
        return None
    delivery.task, delivery.attempts = task_id, delivery.attempts + 1
    delivery.move(State.SENDING, delivery.answer)
    return delivery


@transaction.atomic
def end(delivery: MailDelivery, state: State) -> None:
    """Record that a mail was sent or canceled. After the last one, delete its message."""
    if not delivery.mailbox.account.deletes_mailed:
        delivery.move(state)
        return
    # Lock in the order of the API. Mails of one message are counted one after the other.
    Mailbox.objects.select_for_update(no_key=True).filter(pk=delivery.mailbox_id).first()
    messages = Message.objects.select_related("mailbox__account")
    message = messages.select_for_update(of=("self",)).filter(pk=delivery.message_id).first()
    delivery.move(state)
    if message:
        delete_if_mailed(message)


def give_up(task_result) -> None:
    """Record that a mail failed for good, with the last answer of the server."""
    owned = Q(task=None) | Q(task=UUID(str(task_result.id)))
    rows = MailDelivery.objects.filter(owned, pk=task_result.args[0])
    rows = rows.filter(state__in=MailDelivery.UNFINISHED)
    rows.update(state=State.FAILED, changed_at=timezone.now())


def find_message(pk: int) -> Message | None:
    """Return the message of a mail, with its mailbox; None if it was removed."""
    delivery = MailDelivery.objects.select_related("message__mailbox").filter(pk=pk).first()
    return delivery.message if delivery else None


retry(
    send_mail,
    attempts=ATTEMPTS,
    first=FIRST_DELAY,
    longest=LONGEST_DELAY,
    give_up=give_up,
    title=gettext_lazy("Send a mail"),
    find_subject=find_message,
)


def judge(error: Exception) -> tuple[Exception, str]:
    """Return the error to raise, without an address, and the server's answer in one line.

    Only refusals of the recipient or of the mail are permanent. What concerns our address,
    password or connection can be repaired within the day.
    """
    code: int
    answer: bytes | str
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        [(code, answer)] = error.recipients.values()
        is_permanent = is_final(code)
    elif isinstance(error, smtplib.SMTPResponseException):
        code, answer = error.smtp_code, error.smtp_error
        refuses_sender = isinstance(error, smtplib.SMTPSenderRefused)
        refuses_mail = isinstance(error, smtplib.SMTPDataError)
        is_permanent = (refuses_mail and is_final(code)) or (refuses_sender and code == TOO_LARGE)
    elif isinstance(error, OSError):
        text = f"The mail server cannot be reached, or broke off: {type(error).__name__}."
        return TemporaryError(text), text
    else:
        text = "The address or a header cannot be written in a mail."
        return PermanentError(text), text
    kind = PermanentError if is_permanent else TemporaryError
    words = answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)
    return kind(f"The mail server answered {code}."), f"{code} {make_one_line(words)}"


def is_final(code: int) -> bool:
    return 500 <= code < 600


# --- What is in a mail ----------------------------------------------------------------------


class WrongTemplateError(TemporaryError):
    """A template of mails cannot be rendered. Its cause may have callers' data in its text."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"A template of mails is wrong: {type(cause).__name__}.")


class Content(NamedTuple):
    """Subject, text and HTML of a mail."""

    subject: str
    text: str
    html: str


def build_mail(delivery: MailDelivery) -> EmailMultiAlternatives:
    """Return the mail. Raises OSError if the recording cannot be read now."""
    message = delivery.message
    recording = read_attachment(message)
    content = render(message, is_attached=bool(recording))
    domain = parseaddr(settings.MAIL_FROM)[1].rpartition("@")[2]
    headers = HEADERS | {"Message-ID": f"<{delivery.local_id}@{domain}>"}
    mail = EmailMultiAlternatives(
        content.subject, content.text, settings.MAIL_FROM, [delivery.email], headers=headers
    )
    mail.attach_alternative(content.html, "text/html")
    if recording:
        mail.attach(name_attachment(message), recording, "audio/mpeg")
    return mail


def read_attachment(message: Message) -> bytes:
    """Return the recording as MP3; no bytes if it is not attached or cannot be decrypted."""
    if not settings.MAIL_ATTACH:
        return b""
    try:
        return encode_recording(message)
    except (UnknownKeyError, DamagedError):
        return b""  # the mail alone says who called


@lru_cache(maxsize=2)  # the number of threads that send mails
def encode_recording(message: Message) -> bytes:
    """Return the recording as MP3, cached for the next mails of the message."""
    return encode_mp3(message.read_recording())


def name_attachment(message: Message) -> str:
    moment = message.received_at.astimezone(settings.MAIL_TIME_ZONE)
    return f"{moment:message-%Y-%m-%d-%H%M%S}.mp3"


def render(message: Message, *, is_attached: bool) -> Content:
    """Render the templates in `templates/mail/`, which an operator may have replaced.

    Raises WrongTemplateError.
    """
    with (
        translation.override(settings.LANGUAGE_CODE),
        timezone.override(settings.MAIL_TIME_ZONE),
    ):
        context = {
            "caller": make_one_line(message.caller),
            "caller_name": make_one_line(message.caller_id_name),
            "caller_number": make_one_line(message.caller_id_number),
            "mailbox": make_one_line(message.mailbox.name),
            "account": message.mailbox.account.name,
            "received": message.received_at,
            "length": message.length,
            "transcription": message.readable_transcription,
            "transcription_status": message.transcription_status,
            "is_attached": is_attached,
            "language": settings.LANGUAGE_CODE,
        }
        try:
            subject = make_header(render_to_string("mail/subject.txt", context))
            context["subject"] = subject
            text, html = (
                render_to_string(f"mail/message.{kind}", context).strip() + "\n"
                for kind in ("txt", "html")
            )
        except Exception as error:  # an operator's template can raise any
            raise WrongTemplateError(error) from error
    return Content(subject, text, html)


def make_header(text: str) -> str:
    """Return the text in one line that no mail program decodes (RFC 2047).

    A name such as `=?utf-8?q?=0A?=` would become a line break there.
    """
    return make_one_line(text).replace("=?", "= ?")


def make_one_line(text: str) -> str:
    """Return the printable characters in one line, for a header or a line of its own.

    So nothing writes the rest of the line from right to left, either.
    """
    return "".join(each for each in " ".join(text.split()) if each.isprintable())
