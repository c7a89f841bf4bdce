"""Transactions, locks and admin log entries of console views."""

from contextlib import nullcontext
from functools import wraps

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.admin.utils import construct_change_message
from django.db import transaction

from mailboxes.models import Batch
from mailboxes.staff.resubmission import get_form_uuid


def atomic_post(view):
    """Decorate a view so that a POST runs in one transaction."""

    @wraps(view)
    def guarded(request, *args, **kwargs):
        with transaction.atomic() if request.method == "POST" else nullcontext():
            return view(request, *args, **kwargs)

    return guarded


def lock_for_update(request, rows):
    """Lock the rows until the transaction ends, if the request is a POST."""
    return rows.select_for_update(of=("self",)) if request.method == "POST" else rows


def find_first_batch(request) -> Batch | None:
    """Return the form's batch if it was sent before, such as by a double click, else None."""
    uuid = get_form_uuid(request)
    return Batch.objects.filter(pk=uuid, undone_at=None).first() if uuid else None


def log_saved(request, form, is_new=False):
    """Add the form's changes to the admin log, in the admin's own format."""
    message = construct_change_message(form, None, add=is_new)
    _log(request, form.instance, ADDITION if is_new else CHANGE, message)


def log_creation(request, row, message):
    _log(request, row, ADDITION, message)


def log_change(request, row, message):
    _log(request, row, CHANGE, message)


def log_deletion(request, row):
    _log(request, row, DELETION, "")


def _log(request, row, action, message):
    LogEntry.objects.log_actions(request.user.pk, [row], action, message, single_object=True)
