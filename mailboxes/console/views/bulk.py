"""Many mailboxes at once: first a page that says exactly what will change, then done in one transaction."""

from django.conf import settings
from django.db.models import Count, Q
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from mailboxes import batches
from mailboxes.console.access import add_success, back_to_table, nothing_selected, staff_with
from mailboxes.console.filters import Selection
from mailboxes.forms import SettingsForm
from mailboxes.models import Batch

NAMES_SHOWN = 20


@require_http_methods(["GET", "POST"])
@staff_with(*Batch.permissions(Batch.Action.DELETED))
def bulk_delete(request):
    """Delete the selected mailboxes."""
    return confirmed(
        request,
        "console/bulk_delete.html",
        Batch.Action.DELETED,
        batches.delete_each,
        Selection(request.GET, deleted=False),
    )


@require_http_methods(["GET", "POST"])
@staff_with(*Batch.permissions(Batch.Action.RESTORED))
def bulk_restore(request):
    """Restore the selected mailboxes."""
    return confirmed(
        request,
        "console/bulk_restore.html",
        Batch.Action.RESTORED,
        batches.restore_each,
        Selection(request.GET, deleted=True),
    )


@require_http_methods(["GET", "POST"])
@staff_with(*Batch.permissions(Batch.Action.CHANGED))
def bulk_change(request):
    """Change settings of the selected mailboxes; the address says which settings, and to what."""
    form = SettingsForm(request.GET)
    selection = Selection(request.GET, deleted=False)
    effects = effects_of(form, selection.mailboxes) if form.is_valid() else []
    return confirmed(
        request,
        "console/bulk_change.html",
        Batch.Action.CHANGED,
        form.apply,
        selection,
        can_be_done=any(effect["changing"] for effect in effects),
        form=form,
        effects=effects,
    )


def confirmed(request, template, action, alter, selection, *, can_be_done=True, **context):
    """The page that says what will be done to which mailboxes; by POST, it is done.

    A selection that is no longer what the page had shown is shown anew instead.
    """
    if not selection.versions:
        return nothing_selected(request, selection)
    has_changed = False
    if request.method == "POST" and can_be_done:
        try:
            if request.POST.get("digest") != selection.digest:
                raise batches.ChangedMeanwhileError
            batch = batches.change_each(request.user, action, selection.versions, alter)
        except batches.ChangedMeanwhileError:
            has_changed = True
            selection = Selection(request.GET, selection.deleted)
        else:
            add_success(request, str(batch), batch)
            return back_to_table(selection)
    context |= {
        "selection": selection,
        "count": len(selection.versions),
        "account_count": selection.mailboxes.order_by().values("account").distinct().count(),
        "shown": selection.mailboxes.select_related("account")[:NAMES_SHOWN],
        "unshown": len(selection.versions) - NAMES_SHOWN,
        "retention_days": settings.RETENTION_DAYS,
        "can_be_done": can_be_done,
        "has_changed": has_changed,
    }
    return render(request, template, context)


def effects_of(form, mailboxes) -> list[dict]:
    """Of each setting chosen: its name, what it will be, and how many mailboxes that changes."""
    wanted = form.wanted
    if not wanted:
        return []
    is_so = {
        name: Q(**{name: value}) if value is not None else Q(**{f"{name}__isnull": True})
        for name, value in wanted.items()
    }
    counted = mailboxes.order_by().aggregate(
        of_all=Count("pk"), **{f"{name}_so": Count("pk", filter=so) for name, so in is_so.items()}
    )
    return [
        {
            "label": form.fields[name].label,
            "value": value,
            "so": counted[f"{name}_so"],
            "changing": counted["of_all"] - counted[f"{name}_so"],
        }
        for name, value in wanted.items()
    ]
