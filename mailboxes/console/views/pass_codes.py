"""The pass code in a mailbox's form: show, suggest or check one. Nothing is saved here."""

from functools import wraps

from django.db import transaction
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.views.decorators.http import require_http_methods

from mailboxes import validators
from mailboxes.console.access import add_lost_key, keep_table, staff_with
from mailboxes.console.views.mailbox import (
    CHANGE,
    active_mailbox_action,
    render_mailbox,
    render_new,
)
from mailboxes.contract import MASK
from mailboxes.encryption import UnknownKeyError
from mailboxes.forms import MailboxDeletedError, MailboxSettingsForm, NewMailboxForm
from mailboxes.history import reveal_pass_code
from mailboxes.models import Batch, Mailbox


def form_action(*permissions, page):
    """Decorate the view of a form's button: require permissions; redirect a GET to the page."""

    def decorate(view):
        @require_http_methods(["GET", "HEAD", "POST"])
        @staff_with(*permissions)
        @wraps(view)
        def guarded(request, **ids):
            if request.method == "POST":
                return view(request, **ids)
            return redirect(resolve_url(page, **ids) + keep_table(request)["kept_query"])

        return guarded

    return decorate


change_form = form_action("mailboxes.view_mailbox", *CHANGE, page="console:mailbox")
add_form = form_action(*Batch.permissions(Batch.Action.CREATED), page="console:mailbox-add")


@change_form
@active_mailbox_action
def show(request, uuid):
    """Show the saved pass code in the form, and write to the admin log that the user saw it."""
    mailbox = get_active_mailbox(uuid)
    try:
        code = reveal_pass_code(mailbox, request.user)
    except UnknownKeyError as error:
        add_lost_key(request, error)
        code = MASK
    return render_change_form(request, mailbox, with_pass_code(request.POST, code), is_shown=True)


@change_form
@active_mailbox_action
def hide(request, uuid):
    """Mask the pass code again, which keeps the saved one.

    It does not depend on what is in the form, so that nobody can find a pass code by trying.
    """
    typed = with_pass_code(request.POST, MASK)
    return render_change_form(request, get_active_mailbox(uuid), typed)


@change_form
@active_mailbox_action
def suggest(request, uuid):
    typed = with_pass_code(request.POST, validators.make_pass_code())
    return render_change_form(request, get_active_mailbox(uuid), typed)


@change_form
@active_mailbox_action
def check(request, uuid):
    return render_change_form(request, get_active_mailbox(uuid), request.POST)


@add_form
def suggest_for_new(request):
    return render_add_form(request, with_pass_code(request.POST, validators.make_pass_code()))


@add_form
def check_for_new(request):
    return render_add_form(request, request.POST)


def get_active_mailbox(uuid):
    """Return the active mailbox. Raises Http404, or MailboxDeletedError."""
    mailbox = get_object_or_404(Mailbox, pk=uuid)
    if mailbox.is_deleted:
        raise MailboxDeletedError
    return mailbox


def with_pass_code(typed, code):
    """Return a copy of the form data with this pass code in it."""
    typed = typed.copy()
    typed["password"] = code
    return typed


def render_change_form(request, mailbox, typed, *, is_shown=False):
    form = MailboxSettingsForm(typed, instance=mailbox)
    return render_mailbox(request, mailbox, form=form, is_shown=is_shown)


@transaction.atomic
def render_add_form(request, typed):
    """Render the page of a new mailbox. Its form locks the account, which needs a transaction."""
    return render_new(request, NewMailboxForm(typed))
