"""One mailbox: view, create, change, delete and restore it, and its recipients."""

from copy import copy
from functools import wraps
from uuid import uuid4

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import reswap

from mailboxes import batches
from mailboxes.conflict import Conflict, have_different_settings
from mailboxes.console.access import add_success, keep_table, redirect_to_mailbox, staff_with
from mailboxes.console.views.mail import explain_silence
from mailboxes.console.views.message_list import (
    count_messages,
    list_messages_of,
    record_reading,
)
from mailboxes.console.writing import atomic_post, find_first_batch
from mailboxes.contract import MASK, MAX_RECIPIENTS
from mailboxes.forms import MailboxDeletedError, MailboxSettingsForm, NewMailboxForm, RecipientsForm
from mailboxes.history import add_deletions
from mailboxes.models import Account, Batch, EmailRecipient, Mailbox
from mailboxes.models.accounts import AccountFullError
from mailboxes.models.mail import with_failures
from mailboxes.models.mailboxes import check_quotas
from mailboxes.models.sounds import name_greetings
from mailboxes.staff.permissions import require_permissions
from mailboxes.staff.resubmission import get_form_uuid
from mailboxes.staff.unsent import fill_in

CHANGE = Batch.permissions(Batch.Action.CHANGED)


def active_mailbox_action(view):
    """Decorate an action: if its mailbox is deleted, show the mailbox's page, which says so."""

    @wraps(view)
    def guarded(request, uuid, **ids):
        try:
            return view(request, uuid, **ids)
        except MailboxDeletedError as error:
            messages.error(request, error.message)
            mailbox = get_object_or_404(Mailbox, pk=uuid)
            # Show what was typed, so that it can be saved once the mailbox is restored. htmx keeps
            # its page, and updates the messages and the title only.
            typed = request.POST if "name" in request.POST else None
            form = MailboxSettingsForm(typed, instance=mailbox) if typed or request.htmx else None
            return reswap(render_mailbox(request, mailbox, form=form), "none")

    return guarded


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.view_mailbox")
@active_mailbox_action
def mailbox(request, uuid):
    if request.method != "POST":
        return render_mailbox(request, get_object_or_404(Mailbox, pk=uuid))
    require_permissions(request.user, CHANGE)
    return save_settings(request, uuid)


def render_mailbox(
    request, mailbox, *, form=None, recipient_form=None, conflict=None, is_shown=False
):
    """Render the mailbox's page; an invalid form keeps what was typed.

    `is_shown` means that the form shows the saved pass code.
    """
    # Read again: validation has copied what was typed to the form's own instance.
    mailbox = Mailbox.objects.select_related("account").get(pk=mailbox.pk)
    if mailbox.is_deleted:
        add_deletions([mailbox])
    context = keep_table(request) | list_messages_of(mailbox, request.user)
    record_reading(context.get("shown_messages", []), request.user)
    may_change = request.user.has_perms(CHANGE) and (form is not None or not mailbox.is_deleted)
    form = form or fill_in(request, MailboxSettingsForm(instance=mailbox))
    if may_change:
        form.offer_greetings(mailbox.account)
    context |= {
        "mailbox": mailbox,
        "recipients": with_failures(mailbox.email_recipients.all()),
        "mail_note": explain_silence(mailbox),
        "form": form,
        "recipient_form": recipient_form or fill_in(request, RecipientsForm(mailbox=mailbox)),
        "conflict": conflict,
        "mask": MASK,
        "greeting": name_greetings([mailbox.greeting])[mailbox.greeting],
        "is_shown": is_shown,
        "has_transcriber": bool(settings.TRANSCRIBER),
        "retention_days": settings.RETENTION_DAYS,
        "most_recipients": MAX_RECIPIENTS,
        "host": request.build_absolute_uri("/").rstrip("/"),
        "may_change": may_change,
    }
    return render(request, "console/mailbox.html", context)


@transaction.atomic
def save_settings(request, uuid):
    """Save the form, or show both versions if the mailbox has changed meanwhile."""
    mailbox = lock_mailbox(uuid)
    first = find_first_batch(request)
    if first and mailbox.history.filter(history_batch=first, version=mailbox.version).exists():
        return redirect_after_saving(request, mailbox, first)
    saved = copy(mailbox)
    form = MailboxSettingsForm(request.POST, instance=mailbox)
    if not form.is_valid():
        return render_mailbox(request, saved, form=form)
    conflict = Conflict(form, saved)
    if conflict:
        return render_mailbox(request, saved, form=conflict.merged_form(), conflict=conflict)
    if have_different_settings(mailbox, saved):
        batch = write_batch(request, Batch.Action.CHANGED, changed=[mailbox])
        return redirect_after_saving(request, mailbox, batch)
    messages.info(request, _("Nothing was changed."))
    return redirect_to_mailbox(request, uuid)


def redirect_after_saving(request, mailbox, batch):
    add_success(request, _("Saved: “%(name)s”.") % {"name": mailbox.name}, batch)
    return redirect_to_mailbox(request, mailbox.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with(*Batch.permissions(Batch.Action.CREATED))
@atomic_post
def add(request):
    """Create a mailbox; `?account=` fills in the account."""
    form = NewMailboxForm(request.POST or None, initial={"account": request.GET.get("account")})
    fill_in(request, form)
    is_valid = form.is_valid()  # waits for the same form sent before, which locks the account too
    batch = find_first_batch(request)
    if batch:
        uuid = Mailbox.history.get(history_batch=batch).uuid
    elif is_valid:
        mailbox, addresses = form.instance, form.cleaned_data["recipients"]
        recipients = mailbox.recipients_to_add(addresses)
        batch = write_batch(request, Batch.Action.CREATED, created=[mailbox], added=recipients)
        uuid = mailbox.pk
    else:
        return render_new(request, form)
    add_success(request, str(batch), batch)
    return redirect("console:mailbox", uuid)


def render_new(request, form):
    """Render the page of a new mailbox. It offers the greetings of its account, once known."""
    account = Account.objects.filter(name=form["account"].value() or "").first()
    if account:
        form.offer_greetings(account)
    return render(request, "console/mailbox_add.html", {"form": form})


@require_POST
@staff_with(*CHANGE)
@active_mailbox_action
@transaction.atomic
def recipient_add(request, uuid):
    mailbox = lock_mailbox(uuid)
    form = RecipientsForm(request.POST, mailbox=mailbox)
    if form.is_valid():
        addresses = form.cleaned_data["email"]
        recipients = mailbox.recipients_to_add(addresses)
        batch = write_batch(request, Batch.Action.CHANGED, added=recipients)
    elif batch := find_first_batch(request):
        rows = EmailRecipient.history.filter(history_batch=batch).order_by("history_id")
        addresses = list(rows.values_list("email", flat=True))
    else:
        return render_mailbox(request, mailbox, recipient_form=form)
    add_success(request, _("Added: %(email)s.") % {"email": ", ".join(addresses)}, batch)
    if present := [address for address in form.present if address not in addresses]:
        text = _("This mailbox already had: %(email)s.") % {"email": ", ".join(present)}
        messages.info(request, text)
    return redirect_to_mailbox(request, uuid)


@require_POST
@staff_with(*CHANGE)
@active_mailbox_action
@transaction.atomic
def recipient_remove(request, uuid, recipient):
    """Remove the recipient; one that is gone already is no error."""
    mailbox = lock_mailbox(uuid)
    for removed in mailbox.email_recipients.all():
        if removed.pk == recipient:
            removed.mailbox = mailbox
            batch = write_batch(request, Batch.Action.CHANGED, removed=[removed])
            add_success(request, _("Removed: %(email)s.") % {"email": removed.email}, batch)
    return redirect_to_mailbox(request, uuid)


@require_POST
@staff_with(*Batch.permissions(Batch.Action.DELETED))
def delete(request, uuid):
    """Delete the mailbox; the message on the next page has an Undo button."""
    is_deleted = apply_to_mailbox(request, uuid, Batch.Action.DELETED, batches.mark_deleted)
    count = count_messages(Mailbox.objects.filter(pk=uuid), request.user)
    if is_deleted and count:
        text = ngettext(
            "Its %(count)s message was deleted too, and is restored with the mailbox.",
            "Its %(count)s messages were deleted too, and are restored with the mailbox.",
            count,
        )
        messages.info(request, text % {"count": count})
    return redirect(keep_table(request)["table_address"])


@require_POST
@staff_with(*Batch.permissions(Batch.Action.RESTORED))
def restore(request, uuid):
    try:
        apply_to_mailbox(request, uuid, Batch.Action.RESTORED, batches.mark_restored)
    except AccountFullError as error:
        messages.error(request, error.message)
    return redirect_to_mailbox(request, uuid)


@transaction.atomic
def apply_to_mailbox(request, uuid, action, change) -> bool:
    """Lock the mailbox and call `change` with it. Raises Http404.

    If that returns True, save it as a batch of one. Else find the batch of the first of two clicks.
    Add the message about it. Return True if there is a batch.
    """
    mailbox = lock_mailbox(uuid, allow_deleted=True)
    if change(mailbox):
        batch: Batch | None = write_batch(request, action, changed=[mailbox])
    else:
        batch = find_first_batch(request)
    if batch:
        add_success(request, str(batch), batch)
    return batch is not None


def lock_mailbox(uuid, *, allow_deleted=False) -> Mailbox:
    """Return the mailbox, locked. Raises Http404, or MailboxDeletedError."""
    mailbox = next(iter(batches.lock_for_update([uuid])), None)
    if mailbox is None:
        raise Http404
    if mailbox.is_deleted and not allow_deleted:
        raise MailboxDeletedError
    return mailbox


@transaction.atomic
def write_batch(request, action, **rows) -> Batch:
    """Write the rows (see `batches.write_batch`) as a batch of the request's user.

    Raises AccountFullError.
    """
    uuid = get_form_uuid(request)
    if uuid is None or Batch.objects.filter(pk=uuid).exists():  # it was undone since
        uuid = uuid4()
    batch = Batch.objects.create(pk=uuid, user=request.user, action=action)
    check_quotas(batches.write_batch(batch, **rows))
    return batch
