"""The messages of all mailboxes, and changes of selected ones."""

from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.core.exceptions import BadRequest
from django.core.paginator import Paginator
from django.db.models import prefetch_related_objects
from django.http import HttpResponseRedirect
from django.shortcuts import get_object_or_404, render, resolve_url
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, ngettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from mailboxes.console.access import (
    add_success,
    keep_table,
    make_local,
    redirect_to_next,
    staff_with,
)
from mailboxes.console.live import answer_if_unchanged, get_live_context, get_state
from mailboxes.console.message_filters import MOST_CHANGED, MessageFilter, MessageSelection
from mailboxes.console.views.mailbox_list import ROWS_PER_PAGE, CappedPaginator
from mailboxes.console.writing import atomic_post, find_first_batch
from mailboxes.history import READ, record_access
from mailboxes.message_changes import (
    PERMISSIONS,
    MessageChange,
    change_messages,
    lock_messages,
)
from mailboxes.models import Mailbox, Message
from mailboxes.models.messages import NEWEST_FIRST
from mailboxes.staff.permissions import require_permissions
from mailboxes.staff.resubmission import get_form_uuid

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

GONE = {
    False: ngettext_lazy(
        "%(count)s message had been deleted meanwhile and was left as it is.",
        "%(count)s messages had been deleted meanwhile and were left as they are.",
        "count",
    ),
    True: ngettext_lazy(
        "%(count)s message had been restored or removed meanwhile and was left as it is.",
        "%(count)s messages had been restored or removed meanwhile and were left as they are.",
        "count",
    ),
}
ROWS_TO_DELETE = 20  # on a page
MOST_COUNTED = 10_000


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
    page.object_list = list(page.object_list)
    # A search takes too long to be run every few seconds.
    state = (
        None
        if table.is_search
        else get_state(page.number, page.paginator.count, *get_versions(page))
    )
    if response := answer_if_unchanged(request, state):
        return response
    prefetch_related_objects(page.object_list, "mailbox__account")
    record_reading(page, request.user)
    context = get_live_context(request, state) | {
        "table": table,
        "page": page,
        "kept_query": keep_messages(table, page.number),
        "may_listen": table.may_listen,
        "may_have_new": page.number == 1 and not table.is_deleted,
        "may_select_all": page.paginator.count <= MOST_CHANGED,
        "shown_at": timezone.now().isoformat(),
    }
    return render(request, "console/message_list.html", context)


@require_safe
@staff_with("mailboxes.view_mailbox", VIEW)
def mailbox_messages(request, uuid):
    """Return the part of a mailbox's page that live.js keeps up to date."""
    mailbox = get_object_or_404(Mailbox.objects.active(), pk=uuid)
    context = list_messages_of(mailbox, request.user)
    if response := answer_if_unchanged(request, context["live_state"]):
        return response
    record_reading(context["shown_messages"], request.user)
    context |= keep_table(request) | {"mailbox": mailbox}
    return render(request, "console/mailbox_messages.html", context)


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
    count, most = found.count(), settings.MESSAGES_PER_MAILBOX
    unheard_count, deleted_count = unheard.count(), mailbox.messages.deleted().count()
    return {
        "live_state": get_state(count, unheard_count, deleted_count, *get_versions(rows)),
        "shown_messages": rows,
        "message_count": count,
        "unheard_count": unheard_count,
        "deleted_count": deleted_count,
        "most_messages": most if count >= most * NEARLY_FULL else None,
        "may_listen": user.has_perm(LISTEN),
    }


def get_versions(rows) -> list[tuple]:
    return [(row.pk, row.version) for row in rows]


def count_messages(mailboxes, user) -> int:
    """Return how many messages these mailboxes have, at most MOST_COUNTED.

    It is 0 for a user who may not see messages.
    """
    if not user.has_perm(VIEW):
        return 0
    found = Message.objects.active().filter(mailbox__in=mailboxes.order_by().values("pk"))
    return found.order_by()[:MOST_COUNTED].count()


def record_reading(rows, user) -> None:
    """Write down that the user reads the first lines of the messages, which a table shows."""
    if user.has_perm(LISTEN):
        record_access(READ, [row for row in rows if row.first_line], user)


def keep_messages(table, page_number) -> str:
    """Return the query string that leads from the page of a message back to this table."""
    query = [*table.query, *([("page", page_number)] if page_number > 1 else [])]
    return "?" + urlencode({"from": urlencode(query)})


@require_POST
@staff_with(VIEW)
def message_bulk(request):
    """Mark, delete or restore the selected messages. The query string has the table's filters.

    The deletion of several is confirmed on another page.
    """
    action = request.POST.get("action")
    if action not in PERMISSIONS:
        raise BadRequest
    require_permissions(request.user, [PERMISSIONS[action]])
    selection = MessageSelection(request.GET, request.POST, request.user)
    if not selection.pks:
        messages.warning(request, _("No message was selected. Select some rows first."))
    elif len(selection.pks) > MOST_CHANGED:
        text = _("Nothing was done: select at most %(most)s messages at once.")
        messages.warning(request, text % {"most": MOST_CHANGED})
    elif action == "delete" and len(selection.pks) > 1:
        query = urlencode([*selection.query, ("next", request.POST.get("next", ""))])
        page = f"{resolve_url('console:message-bulk-delete')}?{query}"
        return HttpResponseClientRedirect(page) if request.htmx else HttpResponseRedirect(page)
    else:
        change(request, action, selection.pks)
    return redirect_to_next(request, "console:message-list")


@require_http_methods(["GET", "POST"])
@staff_with(VIEW, PERMISSIONS["delete"])
@atomic_post
def message_bulk_delete(request):
    """Show which of the selected messages will be deleted, and delete them on POST.

    If one of them has changed since the page was loaded, nothing is done and the page is shown again.
    """
    selection = MessageSelection(request.GET, request.GET, request.user)
    next_page = make_local(request, request.GET.get("next", ""))
    next_page = next_page or resolve_url("console:message-list")
    is_post = request.method == "POST"
    if is_post:
        lock_messages(selection.pks[:MOST_CHANGED])
    is_unchanged = request.POST.get("digest") == selection.digest
    if is_post and find_first_batch(request):
        change(request, "delete", [])
    elif not selection.versions:
        messages.warning(request, _("Nothing was done: none of these messages is present."))
    elif len(selection.pks) > MOST_CHANGED:
        raise BadRequest
    elif is_post and is_unchanged:
        change(request, "delete", [uuid for uuid, _version in selection.versions])
    else:
        rows = selection.present.select_related("mailbox__account")
        context = {
            "count": len(selection.versions),
            "digest": selection.digest,
            "has_changed": is_post,
            "next_page": next_page,
            "page": Paginator(rows, ROWS_TO_DELETE).get_page(request.GET.get("page")),
            "retention_days": settings.RETENTION_DAYS,
        }
        return render(request, "console/message_bulk_delete.html", context)
    return HttpResponseRedirect(next_page)


def change(request, action, uuids, *, is_quiet=False) -> None:
    """Change the messages, and add messages for the next page that say what was done.

    The second form of a double click gets the message of the first.
    """
    if first := find_first_batch(request):
        add_success(request, DONE[action] % {"count": first.count}, first)
        return
    outcome = change_messages(action, uuids, request.user, get_form_uuid(request))
    if not is_quiet:
        add_outcome(request, outcome)


def add_outcome(request, change: MessageChange) -> None:
    """Add a message for the next page that says what was done, with an Undo button."""
    if change.count:
        text = DONE[change.action] % {"count": change.count}
        batch = change.batch
        tag = resolve_url("console:undo", batch.pk) if batch else change.sign()
        messages.success(request, text, extra_tags=tag)
    elif not (change.full or change.skipped or change.gone):
        messages.info(request, _("Nothing was changed."))
    if change.gone:
        messages.warning(request, GONE[change.action == "restore"] % {"count": change.gone})
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
