"""The list of changes by staff, and undo."""

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
from mailboxes.console.access import add_success, get_next_page, staff_with
from mailboxes.models import Batch, EmailRecipient, Mailbox
from mailboxes.models.accounts import AccountFullError
from mailboxes.trimming import describe_trimming

BATCHES_PER_PAGE = 50
NAMES_SHOWN = 5


@require_safe
@staff_with("mailboxes.view_mailbox")
def batch_list(request):
    """List all batches, newest first; those that the user may undo have a button for it."""
    rows = {"history_batch": OuterRef("pk")}
    all_batches = Batch.objects.select_related("user").annotate(
        # Any mailbox of the batch. A batch has a name only if it has a single mailbox.
        mailbox=Coalesce(
            Subquery(Mailbox.history.filter(**rows).order_by().values("uuid")[:1]),
            Subquery(EmailRecipient.history.filter(**rows).order_by().values("mailbox_id")[:1]),
            output_field=UUIDField(),
        )
    )
    page = Paginator(all_batches, BATCHES_PER_PAGE).get_page(request.GET.get("page"))
    for batch in page:
        batch.can_be_undone = batch.undone_at is None and may_undo(request.user, batch)
    return render(request, "console/batch_list.html", {"page": page})


@require_POST
@staff_with("mailboxes.view_mailbox")
def undo(request, uuid):
    """Undo the batch, except for mailboxes that have changed since: a message names them."""
    batch = get_object_or_404(Batch, pk=uuid)
    if not may_undo(request.user, batch):
        raise PermissionDenied
    unknown = batches.count_unknown(batch)
    try:
        undoing, skipped = batches.undo_batch(batch, request.user)
    except batches.AlreadyUndoneError:
        messages.warning(request, _("This change was already undone."))
    except AccountFullError as error:
        messages.error(request, error.message)
    else:
        if undoing:
            undoable = undoing if may_undo(request.user, undoing) else None
            add_success(request, str(undoing), undoable)
        elif not (skipped or unknown):
            messages.warning(request, _("There is nothing left to undo."))
        if unknown:
            messages.warning(request, describe_unknown(unknown))
        if skipped:
            messages.warning(request, describe_skipped(skipped))
    return redirect(get_next_page(request, "console:batch-list"))


def may_undo(user, batch) -> bool:
    """Return True if the user may do what the batch did, which includes undoing it."""
    return user.has_perms(Batch.permissions(batch.action))


def describe_unknown(count) -> str:
    return ngettext(
        "%(count)s mailbox was not undone: this change has been removed from its history. %(why)s",
        "%(count)s mailboxes were not undone: this change has been removed from their history. %(why)s",
        count,
    ) % {"count": count, "why": describe_trimming()}


def describe_skipped(mailboxes) -> str:
    names = ", ".join(str(mailbox) for mailbox in mailboxes[:NAMES_SHOWN])
    more = ", …" if len(mailboxes) > NAMES_SHOWN else ""
    return ngettext(
        "%(count)s mailbox has changed since and was not undone: %(names)s",
        "%(count)s mailboxes have changed since and were not undone: %(names)s",
        len(mailboxes),
    ) % {"count": len(mailboxes), "names": names + more}
