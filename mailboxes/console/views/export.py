"""Export of mailboxes as a CSV file."""

import tempfile

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import FileResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from mailboxes.console.access import may_export_pass_codes, refuse_empty_selection, staff_with
from mailboxes.console.filters import Selection
from mailboxes.csvfiles import exporting


class ExportForm(forms.Form):
    delimiter = forms.ChoiceField(
        label=_("Separator"),
        choices=[
            (",", _("Comma: most programs, and Excel in English")),
            (";", _("Semicolon: Excel in languages with a decimal comma, as in most of Europe")),
        ],
        widget=forms.RadioSelect,
        initial=",",
    )
    pass_codes = forms.BooleanField(
        label=_("Include pass codes"),
        required=False,
        help_text=_(
            "Each mailbox's history will record that you exported its pass code. If you import the "
            "file again, it sets every pass code in it."
        ),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.view_mailbox")
def export(request):
    """Ask for the format, then send the file. Pass codes need permission to change mailboxes."""
    selection = Selection(request.GET)
    if not selection.mailboxes.exists():
        return refuse_empty_selection(request, selection)
    has_permission = may_export_pass_codes(request.user)
    form = ExportForm(
        request.POST if request.method == "POST" else None,
        initial={"pass_codes": selection.batch is not None},
        label_suffix="",
    )
    if form.is_valid():
        wants_pass_codes = form.cleaned_data["pass_codes"]
        if wants_pass_codes and not has_permission:
            raise PermissionDenied
        return csv_response(
            f"mailboxes-{timezone.now():%Y-%m-%d}.csv",
            exporting.export_rows(
                selection.mailboxes,
                pass_codes_for=request.user if wants_pass_codes else None,
                delimiter=form.cleaned_data["delimiter"],
            ),
        )
    if not has_permission:
        del form.fields["pass_codes"]
    context = {"form": form, "selection": selection, "count": selection.mailboxes.count()}
    return render(request, "console/export.html", context)


def csv_response(name, chunks) -> FileResponse:
    """Return the chunks of text as a file to download.

    The whole file is written before it is sent, so that a slow client keeps no database query open.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115  Django closes it when it has been sent
    for chunk in chunks:
        file.write(chunk.encode())
    file.seek(0)
    content_type = "text/csv; charset=utf-8"
    return FileResponse(file, as_attachment=True, filename=name, content_type=content_type)
