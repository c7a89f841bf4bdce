"""One message: its page, its recording, and the actions on it."""

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from mailboxes.console.access import keep_messages, redirect_to_next, staff_with
from mailboxes.console.live import answer_if_unchanged, get_live_context, get_state
from mailboxes.console.players import create_player
from mailboxes.console.views.message_list import LISTEN, VIEW, change
from mailboxes.console.writing import atomic_post, find_first_batch
from mailboxes.forms import MailboxDeletedError
from mailboxes.history import DOWNLOADED, HEARD, READ, record_access
from mailboxes.http.ranges import UnsatisfiableRangeError
from mailboxes.http.recordings import (
    UnreadableRecordingError,
    answer_recording,
    get_recording_etag,
)
from mailboxes.message_changes import PERMISSIONS, lock_messages, transcribe_again
from mailboxes.models import Message
from mailboxes.models.mail import with_mail_counts
from mailboxes.models.message_actions import is_changed
from mailboxes.staff.permissions import require_permissions

MAX_NAME = 40  # characters of a mailbox's or a caller's name in a file's name

# What to say if a message has changed since its page was shown, by its present state.
STATES = {
    "deleted": _("Since this page was loaded, the message has been deleted."),
    "heard": _("Since this page was loaded, the message has been marked as heard."),
    "unheard": _("Since this page was loaded, the message has been marked as unheard."),
    "restored": _("Since this page was loaded, the message has been restored."),
}
BY = {
    "deleted": _("Since this page was loaded, %(name)s has deleted the message."),
    "heard": _("Since this page was loaded, %(name)s has marked the message as heard."),
}


def get_message(mailbox_uuid, uuid) -> Message:
    """Return the message. Raises Http404, also for one that can no longer be restored."""
    found = Message.objects.restorable().select_related(
        "mailbox__account", "heard_by", "deleted_by"
    )
    return get_object_or_404(with_mail_counts(found), mailbox=mailbox_uuid, pk=uuid)


@require_safe
@staff_with(VIEW)
def message(request, mailbox_uuid, uuid):
    message = get_message(mailbox_uuid, uuid)
    others, place = message.mailbox.messages.active(), (message.received_at, message.pk)
    newer, older = others.newer_than(*place).last(), others.older_than(*place).first()
    neighbours = [other and other.pk for other in (newer, older)]
    state = get_state(message.version, message.mailbox.is_deleted, *neighbours)
    if response := answer_if_unchanged(request, state):
        return response
    context = keep_messages(request) | get_live_context(request, state)
    context |= {"message": message, "mailbox": message.mailbox, "newer": newer, "older": older}
    if request.user.has_perm(LISTEN):
        context |= {
            "player": create_player(message),
            "transcription": message.readable_transcription,
            "segments": message.readable_segments,
            "has_transcriber": bool(settings.TRANSCRIBER),
        }
        if context["transcription"]:
            record_access(READ, [message], request.user)
    return render(request, "console/message.html", context)


@require_safe
@staff_with(VIEW, LISTEN)
def recording(request, mailbox_uuid, uuid):
    """Send the recording, or the part that a player asks for; with `?download`, as a file."""
    message = get_message(mailbox_uuid, uuid)
    response = get_conditional_response(request, get_recording_etag(message))
    if response:
        return response
    is_download = "download" in request.GET
    try:
        response = answer_recording(request, message)
    except UnreadableRecordingError:
        if not is_download:
            return HttpResponse(status=503)  # the player says that it cannot be played
        messages.error(request, gettext("The recording cannot be read: try again later."))
        return redirect("console:message", mailbox_uuid, uuid)
    except UnsatisfiableRangeError as error:
        return HttpResponse(status=416, headers=error.headers)
    if is_download:
        name = content_disposition_header(True, name_file(message))
        response["Content-Disposition"] = name
    if request.method == "GET":
        record_access(DOWNLOADED if is_download else HEARD, [message], request.user)
    return response


def name_file(message: Message) -> str:
    """Return a name in ASCII for every system: of the mailbox, the caller and the time in UTC."""
    caller = message.caller_id_name or message.caller_id_number
    parts = [slugify(name)[:MAX_NAME] for name in (message.mailbox.name, caller)]
    moment = message.received_at.strftime("%Y-%m-%d-%H%M%S")
    return "_".join(filter(None, [*parts, moment])) + ".wav"


@require_POST
@staff_with(VIEW)
@atomic_post
def message_action(request, mailbox_uuid, uuid, action):
    """Hear, unhear, delete or restore the message.

    The form has the state that its page showed. If the state is another one by now, a message on
    the next page says so.
    """
    if action not in PERMISSIONS:
        raise Http404
    require_permissions(request.user, [PERMISSIONS[action]])
    lock_messages([uuid])
    message = get_message(mailbox_uuid, uuid)
    page = resolve_url("console:message", mailbox_uuid, uuid)
    if message.mailbox.is_deleted:
        messages.error(request, MailboxDeletedError().message)
    elif find_first_batch(request) or not report_state(request, message, action):
        # With htmx the new state is shown in place, while the recording is heard.
        change(request, action, [uuid], is_quiet=bool(request.htmx))
    return redirect_to_next(request, page + keep_messages(request)["kept_query"])


def report_state(request, message: Message, action: str) -> bool:
    """Say what has changed since the page was shown. Return True if nothing is left to do."""
    seen, state = request.POST.get("seen"), message.state
    is_done = not is_changed(message, action) or message.is_deleted != (action == "restore")
    if seen not in STATES or seen == state:
        return False
    # The player marks a message in each tab in which it is heard.
    if not (request.htmx and action == "hear" and state == "heard"):
        author = {"deleted": message.deleted_by, "heard": message.heard_by}.get(state)
        if seen == "deleted":
            messages.warning(request, STATES["restored"])
        elif author:
            messages.warning(request, BY[state] % {"name": author.get_username()})
        else:
            messages.warning(request, STATES[state])
    return is_done


@require_POST
@staff_with(VIEW, LISTEN)
def transcribe(request, mailbox_uuid, uuid):
    """Transcribe a message again after that failed."""
    if get_message(mailbox_uuid, uuid).mailbox.is_deleted:
        messages.error(request, MailboxDeletedError().message)
    elif not settings.TRANSCRIBER:
        messages.error(request, gettext("The service has no transcriber: TRANSCRIBER is not set."))
    else:
        transcribe_again(uuid)
    return redirect(
        resolve_url("console:message", mailbox_uuid, uuid) + keep_messages(request)["kept_query"]
    )
