"""The mail about a message: a preview, and its state for each recipient."""

from django.conf import settings
from django.shortcuts import render
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.urls import NoReverseMatch
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from mailboxes.console.access import keep_messages, staff_with
from mailboxes.console.views.message import get_message
from mailboxes.console.views.message_list import LISTEN, VIEW
from mailboxes.delivery import mail as mails
from mailboxes.history import READ, record_access
from mailboxes.models import ApiCredential, Mailbox, MailDelivery

SHOWN_ERRORS = (TemplateSyntaxError, TemplateDoesNotExist, NoReverseMatch, UnicodeDecodeError)


@require_safe
@staff_with(VIEW, LISTEN)
def mail(request, mailbox_uuid, uuid):
    """Show the mail as a recipient would get it now. Its HTML is in a frame without scripts."""
    message = get_message(mailbox_uuid, uuid)
    context = keep_messages(request) | {
        "message": message,
        "mailbox": message.mailbox,
        "sender": settings.MAIL_FROM,
        "deliveries": MailDelivery.objects.filter(message=message).order_by("pk"),
        "mail_note": explain_silence(message.mailbox),
        "is_attached": settings.MAIL_ATTACH,
    }
    try:
        context["content"] = mails.render(message, is_attached=settings.MAIL_ATTACH)
    except mails.WrongTemplateError as error:
        context["template_error"] = describe_cause(error.__cause__)
    if message.readable_transcription:
        record_access(READ, [message], request.user)
    return render(request, "console/mail.html", context)


def describe_cause(error: BaseException | None) -> str:
    """Return the error's class, and its text if it is about the template or the caller only.

    The text of others may have anything that the process can read.
    """
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, SHOWN_ERRORS) else name


def explain_silence(mailbox: Mailbox) -> str:
    """Return why no mail is sent for the mailbox's messages; an empty text if mails are sent."""
    if not settings.SENDS_MAIL:
        return _("This service sends no mail: EMAIL_URL is not set.")
    engine = ApiCredential.objects.mails_for(mailbox.account).first()
    if engine:
        text = _("The telephone engine “%(name)s” sends the mails, so this service does not.")
        return text % {"name": engine.name}
    return ""
