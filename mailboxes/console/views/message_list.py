"""The messages of all mailboxes, and changes of selected ones."""

from datetime import datetime

from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.core.exceptions import BadRequest
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, ngettext_lazy
from django.views.decorators.http import require_POST, require_safe

from mailboxes.console.access import redirect_to_next, staff_with
from mailboxes.console.filters import parse_uuids
from mailboxes.console.message_filters import MessageFilter
from mailboxes.console.views.mailbox_list import ROWS_PER_PAGE, CappedPaginator
from mailboxes.history import READ, record_access
from mailboxes.message_changes import PERMISSIONS, MessageChange, change_messages
from mailboxes.models import Message
from mailboxes.models.messages import NEWEST_FIRST
from mailboxes.staff.permissions import require_permissions

# Changed at once. Each one is a write, and their mailboxes are locked meanwhile.
MOST_CHANGED = 1_000

VIEW = "mailboxes.view_message"
LISTEN = "mailboxes.listen_to_message"

SHOWN = 10  # messages on the page of a mailbox
NEARLY_FULL = 0.9  # of MESSAGES_PER_MAILBOX: then the page of the mailbox warns

DONE = {
    "hear": ngettext_lazy(
        "%(count)s message was marked as heard.",
        "%(count)s messages were marked as heard.",
        "count",
    ),
    "unhear": ngettext_lazy(
        "%(count)s message was marked as unheard.",
        "%(count)s messages were marked as unheard.",
        "count",
    ),
    "delete": ngettext_lazy(
        "%(count)s message was deleted.", "%(count)s messages were deleted.", "count"
    ),
    "restore": ngettext_lazy(
        "%(count)s message was restored.", "%(count)s messages were restored.", "count"
    ),
}


@require_safe
@staff_with(VIEW)
def message_list(request):
    table = MessageFilter(request.GET, request.user)
    rows = table.messages
    if table.is_search:  # takes long, so run it once, instead of for the count and for the rows
        rows = list(rows.values_list("pk", flat=True)[: CappedPaginator.max_rows])
    page = CappedPaginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    if table.is_search:
        page.object_list = Message.objects.filter(pk__in=page.object_list).order_by(*table.ordering)
    page.object_list = page.object_list.prefetch_related("mailbox__account")
    record_reading(page, request.user)
    context = {
        "table": table,
        "page": page,
        "may_listen": table.may_listen,
        "may_select_all": page.paginator.count <= MOST_CHANGED,
        "shown_at": timezone.now().isoformat(),
    }
    return render(request, "console/message_list.html", context)


def list_messages_of(mailbox, user) -> dict:
    """Return what a mailbox's page shows of its messages: the unheard ones first, and counts."""
    if mailbox.is_deleted or not user.has_perm(VIEW):
        return {}
    found = mailbox.messages.active()
    # Two queries, so that an index gives the first rows of each.
    unheard = found.unheard().order_by(*NEWEST_FIRST)
    heard = found.exclude(heard_at=None).order_by(*NEWEST_FIRST)
    rows = list(unheard[:SHOWN])
    rows += heard[: SHOWN - len(rows)]
    record_reading(rows, user)
    count, most = found.count(), settings.MESSAGES_PER_MAILBOX
    return {
        "shown_messages": rows,
        "message_count": count,
        "unheard_count": unheard.count(),
        "deleted_count": mailbox.messages.deleted().count(),
        "most_messages": most if count >= most * NEARLY_FULL else None,
        "may_listen": user.has_perm(LISTEN),
    }


def record_reading(rows, user) -> None:
    """Write down that the user reads the first lines of the messages, which a table shows."""
    if user.has_perm(LISTEN):
        record_access(READ, [row for row in rows if row.first_line], user)


@require_POST
@staff_with(VIEW)
def message_bulk(request):
    """Mark, delete or restore the selected messages. The query string has the table's filters."""
    action = request.POST.get("action")
    if action not in PERMISSIONS:
        raise BadRequest
    require_permissions(request.user, [PERMISSIONS[action]])
    uuids = list_selected(request)
    if not uuids:
        messages.warning(request, _("No message was selected. Select some rows first."))
    elif len(uuids) > MOST_CHANGED:
        text = _("Nothing was done: select at most %(most)s messages at once.")
        messages.warning(request, text % {"most": MOST_CHANGED})
    else:
        add_outcome(request, change_messages(action, uuids, request.user))
    return redirect_to_next(request, "console:message-list")


def list_selected(request) -> list:
    """Return the UUIDs of the selected rows, or of all that matched when the page was shown."""
    if request.POST.get("all") != "on":
        return list(parse_uuids(request.POST.getlist("uuid")))
    found = MessageFilter(request.GET, request.user).messages
    found = found.filter(stored_at__lte=read_moment(request.POST.get("shown_at", "")))
    return list(found.values_list("pk", flat=True)[: MOST_CHANGED + 1])


def read_moment(text) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or timezone.is_naive(moment):
        raise BadRequest
    return moment


def add_outcome(request, change: MessageChange) -> None:
    """Add a message for the next page that says what was done, with an Undo button."""
    if change.count:
        text = DONE[change.action] % {"count": change.count}
        tag = str(change.batch.pk) if change.batch else change.sign()
        messages.success(request, text, extra_tags=tag)
    elif not (change.full or change.skipped):
        messages.info(request, _("Nothing was changed."))
    if change.full:
        text = ngettext(
            "%(count)s message was not restored: its mailbox is full.",
            "%(count)s messages were not restored: their mailboxes are full.",
            change.full,
        )
        messages.warning(request, text % {"count": change.full})
    if change.skipped:
        text = ngettext(
            "%(count)s message has changed since and was not undone.",
            "%(count)s messages have changed since and were not undone.",
            change.skipped,
        )
        messages.warning(request, text % {"count": change.skipped})


@require_POST
@staff_with(VIEW)
def message_undo(request):
    """Undo a change of messages, except for those that have changed since."""
    try:
        change = MessageChange.read(request.POST.get("token", ""))
    except signing.BadSignature:
        raise BadRequest from None
    require_permissions(request.user, [PERMISSIONS[change.action]])
    add_outcome(request, change.undo(request.user))
    return redirect_to_next(request, "console:message-list")
