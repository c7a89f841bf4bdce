"""CSV import: upload, check in slices, preview, then write all rows at once."""

from functools import wraps

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from mailboxes.console.access import add_lost_key, add_success, staff_with
from mailboxes.console.views.export import csv_response
from mailboxes.csvfiles import importing, parsing, reports
from mailboxes.csvfiles.rows import BOM, COLUMNS, format_rows
from mailboxes.encryption import UnknownKeyError
from mailboxes.models import Batch, Import, ImportRow

ROWS_PER_PAGE = 50
# Of the tabs. The rows are not written yet, so the labels do not say what was done.
ROWS = {
    ImportRow.Outcome.WRONG: gettext_lazy("Wrong"),
    ImportRow.Outcome.CHANGED: gettext_lazy("With changes"),
    ImportRow.Outcome.CREATED: gettext_lazy("New mailboxes"),
    ImportRow.Outcome.UNCHANGED: gettext_lazy("Without changes"),
}
SLICE_SECONDS = 1
SLICE_SECONDS_BY_HAND = 5  # without JavaScript each slice needs a click


def may_import(view):
    """Decorate a view: require permission to import, and explain why an upload is gone.

    Start again if no key decrypts the rows.
    """

    @staff_with(*Batch.permissions(Batch.Action.IMPORTED))
    @wraps(view)
    def guarded(request, *args, **kwargs):
        try:
            return view(request, *args, **kwargs)
        except UnknownKeyError as error:
            add_lost_key(request, error)
            return redirect("console:import")
        except Http404:
            return explain_missing(request)

    return guarded


def explain_missing(request):
    """Say why an upload may be gone, and lead to the user's newest one."""
    if request.htmx:
        return HttpResponseClientRefresh()
    newest = Import.objects.filter(user=request.user).order_by("-created_at").first()
    return render(request, "console/import_missing.html", {"newest": newest}, status=404)


class UploadForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        max_length=255,
        widget=forms.FileInput({"accept": ".csv,text/csv"}),
    )

    def clean_file(self):
        file = self.cleaned_data["file"]
        if file.size > importing.MAX_MIB * 1024**2:
            raise ValidationError(
                _("The file is larger than %(most)s MiB. Split it."),
                params={"most": importing.MAX_MIB},
            )
        return file


@require_http_methods(["GET", "HEAD", "POST"])
@may_import
def upload(request):
    """Show the file format, or stage an uploaded file and start to check it."""
    data = (request.POST, request.FILES) if request.method == "POST" else ()
    form = UploadForm(*data, label_suffix="")
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            source = importing.stage_file(request.user, file, file.name)
        except ValidationError as error:
            form.add_error("file", error)
        else:
            importing.check_rows(source, SLICE_SECONDS)
            return redirect("console:import-preview", source.pk)
    context = {"form": form, "most_rows": parsing.MAX_ROWS, "most_mib": importing.MAX_MIB}
    return render(request, "console/import.html", context)


@require_safe
@may_import
def template(request):
    """Send a CSV file that has only the header row."""
    return csv_response("mailboxes.csv", [BOM, format_rows([COLUMNS])])


@require_safe
@may_import
def preview(request, uuid):
    """Show the progress of the check, then the errors or changes, or the result once imported."""
    source = get_object_or_404(Import.objects.select_related("batch"), pk=uuid, user=request.user)
    if source.batch:
        return render(request, "console/import_done.html", {"source": source})
    if not source.is_checked:
        return render(request, "console/import_check.html", {"source": source})
    counts = [(outcome, label, getattr(source, outcome)) for outcome, label in ROWS.items()]
    warned = {"copies": source.list_warned("name"), "weak": source.list_warned("password")}
    copies, weak = (rows.count() for rows in warned.values())
    counts += [("copies", _("Same name"), copies), ("weak", _("Weak pass code"), weak)]
    tabs = [tab for tab in counts if tab[2]]
    outcomes = [value for value, label, count in tabs]
    outcome = request.GET.get("show")
    if outcome not in outcomes:
        outcome = outcomes[0]
    rows = warned[outcome] if outcome in warned else source.rows.filter(outcome=outcome)
    page = Paginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    rows = reports.list_errors(page) if outcome == "wrong" else reports.list_changes(page)
    context = {"source": source, "outcome": outcome, "tabs": tabs, "page": page, "rows": rows}
    context |= {"copies": copies, "weak": weak}
    return render(request, "console/import_preview.html", context)


@require_POST
@may_import
def check(request, uuid):
    """Check the next rows of the file. The page's script, or a button, calls it repeatedly."""
    source = get_object_or_404(Import, pk=uuid, user=request.user)
    if not source.batch_id:  # it may have been imported meanwhile
        importing.check_rows(source, SLICE_SECONDS if request.htmx else SLICE_SECONDS_BY_HAND)
    if not request.htmx:
        return redirect("console:import-preview", uuid)
    if source.is_checked:
        return HttpResponseClientRefresh()
    return render(request, "console/import_progress.html", {"source": source})


@require_POST
@may_import
def write(request, uuid):
    """Import the file once, even if the button is pressed twice."""
    source = get_object_or_404(Import, pk=uuid, user=request.user)
    try:
        batch = importing.write_import(source, request.user)
    except importing.NotReadyError:
        messages.warning(
            request,
            _(
                "Nothing was imported: mailboxes in this file have changed since it was checked. "
                "Check the changes again."
            ),
        )
        return redirect("console:import-preview", uuid)
    counts = {"created": source.created, "changed": source.changed}
    text = _("Imported: %(created)s created, %(changed)s changed.") % counts
    link = resolve_url("console:batch", batch.pk), _("See the changes")
    add_success(request, format_html('{} <a href="{}">{}</a>', text, *link), batch)
    return redirect("console:mailbox-list")


@require_POST
@may_import
def discard(request, uuid):
    source = get_object_or_404(Import, pk=uuid, user=request.user)
    if source.batch_id:
        return redirect("console:import-preview", uuid)  # which says that it was imported
    source.delete()
    add_success(request, _("The file was discarded. Nothing was imported."))
    return redirect("console:import")


@require_safe
@may_import
def errors(request, uuid):
    source = get_object_or_404(Import, pk=uuid, user=request.user)
    rows = source.rows.filter(outcome=ImportRow.Outcome.WRONG)
    return csv_response(
        "errors.csv", reports.export_errors(rows.iterator(chunk_size=ROWS_PER_PAGE))
    )
