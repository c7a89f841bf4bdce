"""The history of a mailbox, and restoring an earlier state."""

from datetime import UTC, datetime
from itertools import groupby

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST, require_safe

from mailboxes import batches
from mailboxes.console.access import add_success, staff_with
from mailboxes.history import list_changes, list_reveals
from mailboxes.models import Batch, Mailbox


@require_safe
@staff_with("mailboxes.view_mailbox")
def history(request, uuid):
    """Show all changes of the mailbox, newest first; group those of one batch."""
    mailbox = get_object_or_404(Mailbox.objects.select_related("account"), pk=uuid)
    groups = groupby(list_changes(mailbox), lambda change: change.batch or id(change))
    steps = [list(step) for batch, step in groups]
    context = {
        "mailbox": mailbox,
        "steps": steps,
        "reveals": list_reveals(mailbox),
        "may_put_back": request.user.has_perms(Batch.permissions(Batch.Action.PUT_BACK)),
    }
    return render(request, "console/history.html", context)


@require_POST
@staff_with(*Batch.permissions(Batch.Action.PUT_BACK))
def put_back(request, uuid):
    """Restore the settings and recipients that the mailbox had at the `moment` of the form."""
    mailbox = get_object_or_404(Mailbox, pk=uuid)
    moment = parse_moment(request.POST.get("moment", ""))
    if mailbox.is_deleted and not request.user.has_perms(Batch.permissions(Batch.Action.RESTORED)):
        raise PermissionDenied
    try:
        batch = batches.revert_to(mailbox, moment, request.user)
    except Mailbox.history.model.DoesNotExist:
        raise Http404 from None
    add_success(request, str(batch), batch)
    return redirect("console:mailbox", uuid)


def parse_moment(text) -> datetime:
    """Return the moment in UTC. Raises Http404 if it is invalid or has no time zone."""
    try:
        moment = parse_datetime(text)
        if moment and moment.tzinfo:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):  # 30 February; the year 0
        pass
    raise Http404
