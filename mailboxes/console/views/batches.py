"""The list of changes by staff, the page of each, and undo."""

from itertools import chain

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, render, resolve_url
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from mailboxes import batches, message_changes
from mailboxes.console.access import (
    add_success,
    may_export_pass_codes,
    redirect_to_next,
    staff_with,
)
from mailboxes.console.views.message_list import add_outcome
from mailboxes.forms import MailboxDeletedError
from mailboxes.history import describe_effects, list_set_greetings, show_greeting_names
from mailboxes.models import Batch, Mailbox
from mailboxes.models.accounts import AccountFullError
from mailboxes.models.sounds import name_greetings
from mailboxes.trimming import describe_trimming

BATCHES_PER_PAGE = 50
MAILBOXES_PER_PAGE = 50
ACCOUNTS_SHOWN = 3
NAMES_SHOWN = 5


@require_safe
@staff_with("mailboxes.view_mailbox")
def batch_list(request):
    """List all batches, newest first; those that the user may undo have a button for it."""
    all_batches = Batch.objects.with_undone_count().select_related("user")
    page = Paginator(all_batches, BATCHES_PER_PAGE).get_page(request.GET.get("page"))
    page.object_list = list(page.object_list)
    prepare(page.object_list, request.user)
    return render(request, "console/batch_list.html", {"page": page})


@require_safe
@staff_with("mailboxes.view_mailbox")
def batch(request, uuid):
    """Show what a batch has set, and what it changed in each mailbox."""
    batches_with_user = Batch.objects.with_undone_count().select_related("user")
    batch = get_object_or_404(batches_with_user, pk=uuid)
    prepare([batch], request.user)
    found = message_changes.list_histories(batch) if batch.of_messages else list_mailboxes(batch)
    page = Paginator(found, MAILBOXES_PER_PAGE).get_page(request.GET.get("page"))
    if batch.of_messages:
        rows, unknown = list_with_messages(page), message_changes.count_forgotten(batch)
    else:
        rows, unknown = list_with_changes(batch, page), batch.count - page.paginator.count
    context = {
        "batch": batch,
        "page": page,
        "rows": rows,
        "unknown": unknown,
        "trimming": describe_trimming(),
    }
    return render(request, "console/batch.html", context)


def list_mailboxes(batch):
    # Not joined: SQLite may look up each mailbox once for every account.
    return batches.list_mailboxes(batch).prefetch_related("account").order_by("name", "uuid")


def list_with_changes(batch, page) -> list[Mailbox]:
    """Return the page's mailboxes, each with its `changes` in the batch."""
    changes = batches.list_changes(batch, [mailbox.pk for mailbox in page])
    show_greeting_names(chain.from_iterable(changes.values()))
    for mailbox in page:
        mailbox.changes = changes[mailbox.pk]
    return list(page)


def list_with_messages(page) -> list[Mailbox]:
    """Return the mailboxes of the page's entries, each with its entry, `of_messages`."""
    for entry in page:
        entry.mailbox.of_messages = entry
    return [entry.mailbox for entry in page]


def prepare(shown, user) -> None:
    """Set what the templates show of these batches besides their fields."""
    greetings = name_greetings(chain.from_iterable(map(list_set_greetings, shown)))
    for batch in shown:
        batch.can_be_undone = batch.undone_at is None and may_undo(user, batch)
        batch.is_partly_undone = (batch.undone_count or batch.count) < batch.count
        batch.has_pass_codes_to_export = (
            batch.sets_new_pass_codes and batch.undone_at is None and may_export_pass_codes(user)
        )
        batch.settings = describe_effects(batch, greetings)
        accounts = batch.accounts or []
        batch.first_accounts = accounts[:ACCOUNTS_SHOWN]
        batch.other_accounts = len(accounts[ACCOUNTS_SHOWN:])
        batch.has_unnamed_accounts = len(accounts) == batches.MAX_ACCOUNTS


@require_POST
@staff_with("mailboxes.view_mailbox")
def undo(request, uuid):
    """Undo the batch, except for mailboxes that have changed since: a message names them."""
    batch = get_object_or_404(Batch, pk=uuid)
    if not may_undo(request.user, batch):
        raise PermissionDenied
    if batch.of_messages:
        undo_messages(request, batch)
        return redirect_to_next(request, "console:batch-list")
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
            messages.warning(request, describe_skipped(skipped, batch))
    return redirect_to_next(request, "console:batch-list")


def undo_messages(request, batch) -> None:
    try:
        add_outcome(request, message_changes.undo_batch(batch, request.user))
    except message_changes.AlreadyUndoneError:
        messages.warning(request, _("This change was already undone."))


def may_undo(user, batch) -> bool:
    """Return True if the user may do what the batch did, which includes undoing it."""
    return user.has_perms(batch.needed_permissions)


def describe_unknown(count) -> str:
    return ngettext(
        "%(count)s mailbox was not undone: this change has been removed from its history. %(why)s",
        "%(count)s mailboxes were not undone: this change has been removed from their history. %(why)s",
        count,
    ) % {"count": count, "why": describe_trimming()}


def describe_skipped(mailboxes, batch) -> str:
    is_only_deleted = len(mailboxes) == 1 and mailboxes[0].is_deleted
    if is_only_deleted and batch.action != Batch.Action.DELETED:
        return str(MailboxDeletedError().message)
    links = [(resolve_url("console:mailbox", mailbox.pk), mailbox) for mailbox in mailboxes]
    names = format_html_join(", ", '<a href="{}">{}</a>', links[:NAMES_SHOWN])
    if len(links) > NAMES_SHOWN:
        names = format_html("{}, …", names)
    text = ngettext(
        "{count} mailbox has changed since and was not undone: {names}",
        "{count} mailboxes have changed since and were not undone: {names}",
        len(mailboxes),
    )
    return format_html(text, count=len(mailboxes), names=names)
