"""Change many mailboxes at once: confirm the exact effects, then write in one transaction."""

from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import IntegrityError
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.http import require_http_methods

from mailboxes import batches
from mailboxes.console.access import (
    add_success,
    redirect_to_table,
    refuse_empty_selection,
    staff_with,
)
from mailboxes.console.bulk import SettingsForm
from mailboxes.console.filters import Selection
from mailboxes.console.views.message_list import MOST_COUNTED, count_messages
from mailboxes.console.writing import find_first_batch
from mailboxes.contract import MAX_RECIPIENTS
from mailboxes.models import Batch
from mailboxes.models.accounts import AccountFullError
from mailboxes.staff.resubmission import get_form_uuid

ROWS_PER_PAGE = 20


@require_http_methods(["GET", "POST"])
@staff_with(*Batch.permissions(Batch.Action.DELETED))
def bulk_delete(request):
    selection = Selection(request.GET, deleted=False)
    template = "console/bulk_delete.html"
    return confirm(
        request,
        template,
        selection,
        Batch.Action.DELETED,
        batches.mark_deleted,
        message_count=lambda: count_messages(selection.mailboxes, request.user),
        most_counted=MOST_COUNTED,
    )


@require_http_methods(["GET", "POST"])
@staff_with(*Batch.permissions(Batch.Action.RESTORED))
def bulk_restore(request):
    selection = Selection(request.GET, deleted=True)
    template = "console/bulk_restore.html"
    return confirm(request, template, selection, Batch.Action.RESTORED, batches.mark_restored)


@require_http_methods(["GET", "POST"])
@staff_with(*Batch.permissions(Batch.Action.CHANGED))
def bulk_change(request):
    """Change settings of the selected mailboxes. The new settings are in the query string."""
    form = SettingsForm(request.GET, Selection(request.GET, deleted=False).mailboxes)
    selection = Selection(request.GET, deleted=False, condition=form.condition)
    return confirm(
        request,
        "console/bulk_change.html",
        selection,
        Batch.Action.CHANGED,
        form.apply,
        form.change_recipients if form.changes_recipients else None,
        redirect_to_export if form.makes_pass_codes else redirect_to_table,
        form=form,
        effects=lambda: form.count_effects(selection.mailboxes),
        full=lambda: form.list_full(selection.mailboxes),
        left_out=len(selection.uuids) and selection.listed.count() - selection.count,
        most_recipients=MAX_RECIPIENTS,
    )


def confirm(
    request,
    template,
    selection,
    action,
    change,
    change_recipients=None,
    finish=redirect_to_table,
    **context,
):
    """Show which mailboxes will change, and change them on POST, then redirect with `finish`.

    If one of them has changed since the page was loaded, nothing is done and the page is shown again.
    """
    is_empty, is_unchanged = not selection.count, not selection.versions
    # After the selection was read: the first of a double click may empty it.
    batch = find_first_batch(request)
    if batch is None and is_empty:
        return refuse_empty_selection(request, selection)
    has_changed = False
    if batch is None and request.method == "POST" and not is_unchanged:
        try:
            if request.POST.get("digest") != selection.digest:
                raise batches.ChangedMeanwhileError
            versions = {UUID(digits): version for digits, version in selection.versions.items()}
            uuid = get_form_uuid(request)
            batch = batches.change_each(
                request.user, action, versions, change, change_recipients, uuid
            )
        except (batches.ChangedMeanwhileError, IntegrityError):
            batch = find_first_batch(request)  # this is the second of a double click
            has_changed = batch is None
            selection = Selection(request.GET, selection.deleted, selection.condition)
        except AccountFullError as error:
            messages.error(request, error.message)
    if batch:
        add_success(request, str(batch), batch)
        selection.batch = batch.pk
        return finish(selection)
    paginator = Paginator(selection.changing.select_related("account"), ROWS_PER_PAGE)
    paginator.count = len(selection.versions)  # known already
    context |= {
        "selection": selection,
        "page": paginator.get_page(request.GET.get("page")),
        "retention_days": settings.RETENTION_DAYS,
        "has_changed": has_changed,
    }
    return render(request, template, context)


def redirect_to_export(selection):
    """Redirect to the export of the mailboxes that the selection's batch changed."""
    query = urlencode([*selection.table.query, ("batch", selection.batch)])
    return redirect(f"{resolve_url('console:export')}?{query}")
