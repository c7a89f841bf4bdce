"""Change many mailboxes at once: confirm the exact effects, then write in one transaction."""

from django.conf import settings
from django.contrib import messages
from django.db.models import Count, Q
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from mailboxes import batches
from mailboxes.console.access import (
    add_success,
    redirect_to_table,
    refuse_empty_selection,
    staff_with,
)
from mailboxes.console.filters import Selection
from mailboxes.forms import SettingsForm
from mailboxes.models import Batch
from mailboxes.models.accounts import AccountFullError

NAMES_SHOWN = 20


@require_http_methods(["GET", "POST"])
@staff_with(*Batch.permissions(Batch.Action.DELETED))
def bulk_delete(request):
    return confirm(
        request,
        "console/bulk_delete.html",
        Batch.Action.DELETED,
        batches.mark_deleted,
        Selection(request.GET, deleted=False),
    )


@require_http_methods(["GET", "POST"])
@staff_with(*Batch.permissions(Batch.Action.RESTORED))
def bulk_restore(request):
    return confirm(
        request,
        "console/bulk_restore.html",
        Batch.Action.RESTORED,
        batches.mark_restored,
        Selection(request.GET, deleted=True),
    )


@require_http_methods(["GET", "POST"])
@staff_with(*Batch.permissions(Batch.Action.CHANGED))
def bulk_change(request):
    """Change settings of the selected mailboxes. The new settings are in the query string."""
    form = SettingsForm(request.GET)
    selection = Selection(request.GET, deleted=False)
    effects = count_effects(form, selection.mailboxes) if form.is_valid() else []
    return confirm(
        request,
        "console/bulk_change.html",
        Batch.Action.CHANGED,
        form.apply,
        selection,
        is_possible=any(effect["changing"] for effect in effects),
        form=form,
        effects=effects,
    )


def confirm(request, template, action, change, selection, *, is_possible=True, **context):
    """Show which mailboxes will change, and change them on POST.

    If one of them has changed since the page was loaded, nothing is done and the page is shown again.
    """
    if not selection.versions:
        return refuse_empty_selection(request, selection)
    has_changed = False
    if request.method == "POST" and is_possible:
        try:
            if request.POST.get("digest") != selection.digest:
                raise batches.ChangedMeanwhileError
            batch = batches.change_each(request.user, action, selection.versions, change)
        except batches.ChangedMeanwhileError:
            has_changed = True
            selection = Selection(request.GET, selection.deleted)
        except AccountFullError as error:
            messages.error(request, error.message)
        else:
            add_success(request, str(batch), batch)
            return redirect_to_table(selection)
    context |= {
        "selection": selection,
        "count": len(selection.versions),
        "account_count": selection.mailboxes.order_by().values("account").distinct().count(),
        "first_mailboxes": selection.mailboxes.select_related("account")[:NAMES_SHOWN],
        "more": len(selection.versions) - NAMES_SHOWN,
        "retention_days": settings.RETENTION_DAYS,
        "is_possible": is_possible,
        "has_changed": has_changed,
    }
    return render(request, template, context)


def count_effects(form, mailboxes) -> list[dict]:
    """Count, for each chosen setting, the mailboxes it changes and those that have it already."""
    new_values = form.new_values
    if not new_values:
        return []
    already = {
        f"{name}_already": Count(
            "pk", filter=Q(**({f"{name}__isnull": True} if value is None else {name: value}))
        )
        for name, value in new_values.items()
    }
    counts = mailboxes.order_by().aggregate(total=Count("pk"), **already)
    return [
        {
            "label": form.fields[name].label,
            "value": value,
            "already": counts[f"{name}_already"],
            "changing": counts["total"] - counts[f"{name}_already"],
        }
        for name, value in new_values.items()
    ]
