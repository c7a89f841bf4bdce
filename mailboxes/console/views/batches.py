"""What staff did, the newest first, and undoing it."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import OuterRef, Subquery, UUIDField
from django.db.models.functions import Coalesce
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from mailboxes import batches
from mailboxes.console.access import add_success, next_page, staff_with
from mailboxes.models import Batch, EmailRecipient, Mailbox

BATCHES_PER_PAGE = 50
NAMES_TOLD = 5


@require_safe
@staff_with("mailboxes.view_mailbox")
def batch_list(request):
    """Every batch, each with its author and, for whoever may, a button that undoes it."""
    rows = {"history_batch": OuterRef("pk")}
    done = Batch.objects.select_related("user").annotate(
        # One of its mailboxes: its name, where it has one, is that mailbox's.
        mailbox=Coalesce(
            Subquery(Mailbox.history.filter(**rows).order_by().values("uuid")[:1]),
            Subquery(EmailRecipient.history.filter(**rows).order_by().values("mailbox_id")[:1]),
            output_field=UUIDField(),
        )
    )
    page = Paginator(done, BATCHES_PER_PAGE).get_page(request.GET.get("page"))
    for batch in page:
        batch.can_be_undone = batch.undone_at is None and may_undo(request.user, batch)
    return render(request, "console/batch_list.html", {"page": page})


@require_POST
@staff_with("mailboxes.view_mailbox")
def undo(request, uuid):
    """Undo the batch; what has changed since is left alone and named."""
    batch = get_object_or_404(Batch, pk=uuid)
    if not may_undo(request.user, batch):
        raise PermissionDenied
    try:
        undoing, left = batches.undo_batch(batch, request.user)
    except batches.AlreadyUndoneError:
        messages.warning(request, _("This was undone already."))
    else:
        if undoing:
            again = undoing if may_undo(request.user, undoing) else None
            add_success(request, str(undoing), again)
        elif not left:
            messages.warning(request, _("There is nothing left to undo."))
        if left:
            messages.warning(request, left_alone(left))
    return redirect(next_page(request, "console:batch-list"))


def may_undo(user, batch) -> bool:
    """Whoever may do it may undo it."""
    return user.has_perms(Batch.permissions(batch.action))


def left_alone(left) -> str:
    """Which mailboxes stayed as they are, and why."""
    names = ", ".join(str(mailbox) for mailbox in left[:NAMES_TOLD])
    more = ", …" if len(left) > NAMES_TOLD else ""
    return ngettext(
        "%(count)s mailbox has changed since and was left alone: %(names)s",
        "%(count)s mailboxes have changed since and were left alone: %(names)s",
        len(left),
    ) % {"count": len(left), "names": names + more}
