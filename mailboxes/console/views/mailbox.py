"""One mailbox: looked at, changed, its pass code shown, its recipients added and removed, deleted and restored."""

from copy import copy

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from mailboxes import batches, validators
from mailboxes.console.access import say_done, staff_with
from mailboxes.console.conflict import Conflict, differ
from mailboxes.contract import MASK, MAX_RECIPIENTS
from mailboxes.encryption import UnknownKeyError
from mailboxes.forms import MailboxSettingsForm, NewMailboxForm, RecipientForm
from mailboxes.history import reveal
from mailboxes.models import Batch, EmailRecipient, Mailbox

CHANGE = Batch.permissions(Batch.Action.CHANGED)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.view_mailbox")
def mailbox(request, uuid):
    """Everything about it. By POST its form is saved, or its pass code shown, suggested or looked at."""
    mailbox = get_object_or_404(Mailbox.objects.select_related("account"), pk=uuid)
    if request.method != "POST":
        return page(request, mailbox)
    if mailbox.is_deleted or not request.user.has_perms(CHANGE):
        raise PermissionDenied
    match request.POST.get("do"):
        case "show":
            typed = with_code(request.POST, shown_to(request, mailbox))
        case "suggest":
            typed = with_code(request.POST, validators.make_pass_code())
        case "check":
            typed = request.POST
        case _:
            return save(request, uuid)
    return page(request, mailbox, form=MailboxSettingsForm(typed, instance=mailbox))


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with(*Batch.permissions(Batch.Action.CREATED))
def add(request):
    """A new mailbox, of the account that the address may name."""
    form = NewMailboxForm(initial={"account": request.GET.get("account")})
    if request.method == "POST":
        form = NewMailboxForm(request.POST)
        match request.POST.get("do"):
            case "suggest":
                form = NewMailboxForm(with_code(request.POST, validators.make_pass_code()))
            case "check":
                pass
            case _ if form.is_valid():
                return create(request, form)
    return render(request, "console/mailbox_add.html", {"form": form})


def with_code(typed, code):
    """What was typed, with this pass code in its field; nothing is saved."""
    typed = typed.copy()
    typed["password"] = code
    return typed


@transaction.atomic
def create(request, form):
    """Make the mailbox of the form, with its recipients."""
    mailbox, addresses = form.instance, form.cleaned_data["recipients"]
    batch = Batch.objects.create(user=request.user, action=Batch.Action.CREATED)
    batches.write_batch(batch, created=[mailbox], added=mailbox.recipients_to_add(addresses))
    say_done(request, str(batch), batch)
    return redirect("console:mailbox", mailbox.pk)


def page(request, mailbox, *, form=None, recipient_form=None, conflict=None):
    """The page, with what was typed if a form did not go through."""
    form = form or MailboxSettingsForm(instance=mailbox)
    context = {
        # As it is: the form's own instance has taken over what was typed.
        "mailbox": Mailbox.objects.select_related("account").get(pk=mailbox.pk),
        "recipients": mailbox.email_recipients.all(),
        "form": form,
        "recipient_form": recipient_form or RecipientForm(),
        "conflict": conflict,
        "mask": MASK,
        "most_recipients": MAX_RECIPIENTS,
        "retention_days": settings.RETENTION_DAYS,
        "host": request.build_absolute_uri("/").rstrip("/"),
        "may_change": request.user.has_perms(CHANGE) and not mailbox.is_deleted,
    }
    return render(request, "console/mailbox.html", context)


def shown_to(request, mailbox):
    """The pass code in clear, which is written in the log; or the mask, where it cannot be opened."""
    try:
        return reveal(mailbox, request.user)
    except UnknownKeyError as error:
        messages.error(request, str(error))
        return MASK


@transaction.atomic
def save(request, uuid):
    """Save the form, unless somebody else has changed the same mailbox since the page was shown: then ask."""
    mailbox = held(uuid)
    theirs = copy(mailbox)
    form = MailboxSettingsForm(request.POST, instance=mailbox)
    if not form.is_valid():
        return page(request, theirs, form=form)
    conflict = Conflict(form, theirs)
    if conflict:
        return page(request, theirs, form=conflict.merged(), conflict=conflict)
    if differ(mailbox, theirs):
        batch = Batch.objects.create(user=request.user, action=Batch.Action.CHANGED)
        batches.write_batch(batch, changed=[mailbox])
        say_done(request, _("Saved: “%(name)s”.") % {"name": mailbox.name}, batch)
    else:
        messages.info(request, _("Nothing was changed."))
    return redirect("console:mailbox", uuid)


@require_POST
@staff_with(*CHANGE)
@transaction.atomic
def recipient_add(request, uuid):
    """Send the mailbox's messages to one more address."""
    mailbox = held(uuid)
    added = EmailRecipient(mailbox=mailbox, position=mailbox.next_position())
    form = RecipientForm(request.POST, instance=added)
    if not form.is_valid():
        return page(request, mailbox, recipient_form=form)
    batch = Batch.objects.create(user=request.user, action=Batch.Action.CHANGED)
    batches.write_batch(batch, added=[added])
    say_done(request, _("Added: %(email)s.") % {"email": added.email}, batch)
    return redirect("console:mailbox", uuid)


@require_POST
@staff_with(*CHANGE)
@transaction.atomic
def recipient_remove(request, uuid, recipient):
    """Send the mailbox's messages to this address no more."""
    mailbox = held(uuid)
    for gone in mailbox.email_recipients.all():
        if gone.pk == recipient:
            gone.mailbox = mailbox
            batch = Batch.objects.create(user=request.user, action=Batch.Action.CHANGED)
            batches.write_batch(batch, removed=[gone])
            say_done(request, _("Removed: %(email)s.") % {"email": gone.email}, batch)
    return redirect("console:mailbox", uuid)


@require_POST
@staff_with(*Batch.permissions(Batch.Action.DELETED))
def delete(request, uuid):
    """Delete it; the message has the way back."""
    do(request, uuid, Batch.Action.DELETED, batches.delete_each)
    return redirect("console:mailbox-list")


@require_POST
@staff_with(*Batch.permissions(Batch.Action.RESTORED))
def restore(request, uuid):
    """Bring it back into service."""
    do(request, uuid, Batch.Action.RESTORED, batches.restore_each)
    return redirect("console:mailbox", uuid)


@transaction.atomic
def do(request, uuid, action, alter):
    """Do it to the mailbox, unless it is so already, and say so."""
    mailbox = held(uuid, even_deleted=True)
    if alter(mailbox):
        batch = Batch.objects.create(user=request.user, action=action)
        batches.write_batch(batch, changed=[mailbox])
        say_done(request, str(batch), batch)


def held(uuid, even_deleted=False):
    """The mailbox, locked. Raises Http404; PermissionDenied where it is deleted: it is restored first."""
    mailbox = next(iter(batches.lock_for_update([uuid])), None)
    if mailbox is None:
        raise Http404
    if mailbox.is_deleted and not even_deleted:
        raise PermissionDenied
    return mailbox
