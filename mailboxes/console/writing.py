"""What goes along with writing: one transaction, the row held, a line in the admin's log."""

from contextlib import nullcontext
from functools import wraps

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.admin.utils import construct_change_message
from django.db import transaction


def atomic_post(view):
    """What a POST reads and writes is one transaction; a page that is only shown opens none."""

    @wraps(view)
    def guarded(request, *args, **kwargs):
        with transaction.atomic() if request.method == "POST" else nullcontext():
            return view(request, *args, **kwargs)

    return guarded


def lock_for_update(request, rows):
    """The rows; those that a POST reads are locked until its transaction ends."""
    return rows.select_for_update(of=("self",)) if request.method == "POST" else rows


def log_saved(request, form, is_new=False):
    """Write in the admin's log what the form has added or changed, as the admin itself does."""
    message = construct_change_message(form, None, add=is_new)
    _log(request, form.instance, ADDITION if is_new else CHANGE, message)


def log_change(request, row, said):
    """Write in the admin's log what was done to the row."""
    _log(request, row, CHANGE, said)


def _log(request, row, action, message):
    LogEntry.objects.log_actions(request.user.pk, [row], action, message, single_object=True)
