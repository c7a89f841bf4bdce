"""Mailboxes and their recipients in the admin."""

from copy import copy
from functools import partial, wraps

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404
from django.shortcuts import redirect
from django.urls import path

from mailboxes import contract
from mailboxes.admin.base import ServiceAdmin, YesNoFilter
from mailboxes.conflict import Conflict
from mailboxes.encryption import UnknownKeyError
from mailboxes.filters import HAS_GREETING, HAS_PASS_CODE, HAS_RECIPIENTS, HAS_WEAK_PASS_CODE
from mailboxes.forms import (
    EmailRecipientForm,
    MailboxDeletedError,
    MailboxForm,
    MailboxSettingsForm,
    RecipientFormSet,
)
from mailboxes.history import HistoryPage, parse_version, reveal_pass_code
from mailboxes.models import EmailRecipient, Mailbox
from mailboxes.models.searching import contains
from mailboxes.staff.resubmission import get_form_uuid


def on_active_mailboxes(action):
    """Decorate an action: if a selected mailbox is deleted, only show a message."""

    @wraps(action)
    def guarded(model_admin, request, rows):
        if any(model_admin.get_mailbox(row).is_deleted for row in rows):
            model_admin.message_user(request, MailboxDeletedError().message, messages.ERROR)
            return None  # shows the list again
        return action(model_admin, request, rows)

    return guarded


class RecipientInline(admin.TabularInline):
    model = EmailRecipient
    formset = RecipientFormSet
    fields = ["email"]
    extra = 1
    max_num = contract.MAX_RECIPIENTS

    def get_formset(self, request, mailbox=None, **kwargs):
        return super().get_formset(request, mailbox, validate_max=True, **kwargs)


class State(admin.SimpleListFilter):
    """Filter mailboxes by state: active (the default), deleted or all."""

    title = parameter_name = "state"

    def lookups(self, request, model_admin):
        return [("deleted", "Deleted"), ("all", "All")]

    def choices(self, changelist):
        first, *others = super().choices(changelist)
        return [first | {"display": "Active"}, *others]

    def queryset(self, request, mailboxes):
        match self.value():
            case "all":
                return mailboxes
            case "deleted":
                return mailboxes.exclude(deleted_at=None)
            case _:
                return mailboxes.active()


class HasPassCode(YesNoFilter):
    title = "pass code"
    parameter_name = "pass_code"
    condition = HAS_PASS_CODE


class HasWeakPassCode(YesNoFilter):
    title = "weak pass code"
    parameter_name = "weak"
    condition = HAS_WEAK_PASS_CODE


class HasRecipients(YesNoFilter):
    title = parameter_name = "recipients"
    condition = HAS_RECIPIENTS


class HasGreeting(YesNoFilter):
    title = parameter_name = "greeting"
    condition = HAS_GREETING


class ReadOnlyIfDeleted(ServiceAdmin):
    """Admin of a mailbox or its recipients: read-only while the mailbox is deleted."""

    def get_mailbox(self, row):
        return row

    def change_view(self, request, object_id, form_url="", extra_context=None):
        if request.method == "POST" and self.is_of_deleted_mailbox(request, object_id):
            return self.refuse_deleted(request, object_id)
        return super().change_view(request, object_id, form_url, extra_context)

    def delete_view(self, request, object_id, extra_context=None):
        if self.is_of_deleted_mailbox(request, object_id):
            return self.refuse_deleted(request, object_id)
        return super().delete_view(request, object_id, extra_context)

    def is_of_deleted_mailbox(self, request, object_id) -> bool:
        """Return True if only its deleted mailbox keeps the user from changing the row."""
        if not self.has_change_permission(request):
            return False
        row = self.get_object(request, unquote(object_id))
        return row is not None and self.get_mailbox(row).is_deleted

    def refuse_deleted(self, request, object_id):
        """Show the row's page, with a message that says to restore the mailbox first."""
        self.message_user(request, MailboxDeletedError().message, messages.ERROR)
        return redirect(f"admin:mailboxes_{self.opts.model_name}_change", object_id)

    def has_change_permission(self, request, row=None):
        is_deleted = row is not None and self.get_mailbox(row).is_deleted
        return super().has_change_permission(request, row) and not is_deleted

    def has_delete_permission(self, request, row=None):
        is_deleted = row is not None and self.get_mailbox(row).is_deleted
        return super().has_delete_permission(request, row) and not is_deleted


class MailboxChangeForm(MailboxSettingsForm):
    """An existing mailbox. The form is invalid once if somebody else has changed it meanwhile.

    It then has the user's changes on top of theirs, as in the console.
    """

    conflict: Conflict | None = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.saved = copy(self.instance)
        self.fields["version"].required = False

    def clean_version(self):
        """Take the current version if none was sent, which no page of this site does."""
        return self.cleaned_data["version"] or self.saved.version

    def is_valid(self):
        if not super().is_valid():
            return False
        conflict = Conflict(self, self.saved)
        if conflict:
            self.conflict = conflict
            self.data = conflict.merged_form().data
            message = "Nothing is saved yet: somebody else has changed this mailbox."
            self.add_error(None, ValidationError(message, "conflict"))
        return not conflict


@admin.register(Mailbox)
class MailboxAdmin(ReadOnlyIfDeleted):
    form = MailboxForm
    inlines = [RecipientInline]
    list_display = [
        "name",
        "account",
        "password",
        "recipients",
        "transcribe",
        "created",
        "updated",
        "state",
    ]
    list_filter = [State, "transcribe", HasPassCode, HasWeakPassCode, HasRecipients, HasGreeting]
    list_select_related = ["account"]
    search_fields = ["name", "account__name", "email_recipients__email", "uuid"]
    autocomplete_fields = ["account"]
    fieldsets = [
        (None, {"fields": ["account", "name", "password", "greeting"]}),
        ("Messages", {"fields": ["beep", "play_caller_id", "play_timestamp", "transcribe"]}),
    ]
    record = ["uuid", "state", "saved_version", "created_at", "updated_at"]
    actions = ["restore", "turn_transcription_on", "turn_transcription_off"]

    def get_queryset(self, request):
        recipients = EmailRecipient.objects.filter(mailbox=OuterRef("pk")).order_by()
        counted = recipients.values("mailbox").annotate(count=Count("pk")).values("count")
        mailboxes = super().get_queryset(request)
        return mailboxes.annotate(recipient_count=Coalesce(Subquery(counted), 0))

    def search(self, request, mailboxes, text):
        """Search as the console does, which also finds parts of a UUID."""
        return mailboxes.search(text, all_accounts=True), False

    def get_form(self, request, mailbox=None, change=False, **kwargs):
        form = MailboxChangeForm if change else self.form
        form = super().get_form(request, mailbox, change, form=form, **kwargs)
        form.new_uuid = None if change else get_form_uuid(request)
        return form

    def find_added(self, form_uuid):
        return Mailbox.objects.filter(pk=form_uuid).first()

    def get_readonly_fields(self, request, mailbox=None):
        """Make the account of an existing mailbox read-only.

        Another account would see the names and addresses of the first one in the history.
        """
        return ["account", *self.record] if mailbox else self.record

    def get_fieldsets(self, request, mailbox=None):
        return [*self.fieldsets, ("Record", {"fields": self.record})] if mailbox else self.fieldsets

    def get_urls(self):
        show = self.admin_site.admin_view(self.show_pass_code)
        return [
            path("<uuid:uuid>/pass-code/", show, name="mailboxes_mailbox_pass_code"),
            *super().get_urls(),
        ]

    @admin.display(description="pass code", ordering="password_is_weak")
    def password(self, mailbox):
        """Hide the model's `password`, which a read-only page would show in clear."""
        if mailbox.password_sealed is None:
            return None
        return "weak" if mailbox.password_is_weak else "set"

    @admin.display(ordering="recipient_count")
    def recipients(self, mailbox):
        return mailbox.recipient_count

    @admin.display(ordering="created_at")
    def created(self, mailbox):
        return mailbox.created_on

    @admin.display(ordering="updated_at")
    def updated(self, mailbox):
        return mailbox.updated_on

    @admin.display(ordering="deleted_at")
    def state(self, mailbox):
        return "deleted" if mailbox.is_deleted else "active"

    @admin.display(description="version")
    def saved_version(self, mailbox):
        """Show the version; the form has it only in the hidden field `version`."""
        return mailbox.version

    @transaction.atomic
    def show_pass_code(self, request, uuid):
        """Show the pass code to users who may change it, and log that."""
        if request.method != "POST":  # a bookmark or a typed address
            return redirect("admin:mailboxes_mailbox_change", uuid)
        mailbox = self.get_object(request, uuid)
        if mailbox is None:
            raise Http404
        if mailbox.is_deleted and self.has_change_permission(request):
            return self.refuse_deleted(request, uuid)
        if not self.has_change_permission(request, mailbox):
            raise PermissionDenied
        try:
            code = reveal_pass_code(mailbox, request.user)
        except UnknownKeyError as error:
            self.message_user(request, str(error), messages.ERROR)
            return redirect("admin:mailboxes_mailbox_change", uuid)
        return self.show_once(request, "pass_code", "Pass code", mailbox=mailbox, code=code)

    def history_view(self, request, object_id, extra_context=None):
        """Add the mailbox's own history to Django's list of changes in the admin."""
        mailbox = self.get_object(request, object_id)
        before = parse_version(request.GET.get("before"))
        page = HistoryPage(mailbox, self.list_per_page, before) if mailbox else None
        return super().history_view(request, object_id, {"page": page})

    # Deletion is soft and does not cascade, so there are no related rows to collect.

    def get_deleted_objects(self, mailboxes, request):
        names = [str(mailbox) for mailbox in mailboxes]
        return names, {self.opts.verbose_name_plural: len(names)}, set(), []

    def delete_model(self, request, mailbox):
        mailbox.soft_delete()

    @admin.action(description="Restore selected mailboxes", permissions=["delete"])
    def restore(self, request, mailboxes):
        deleted = mailboxes.exclude(deleted_at=None).order_by("account_id")  # as check_quotas locks
        self.change_each(request, deleted, Mailbox.restore, "Restored")

    @admin.action(description="Turn transcription on", permissions=["change"])
    @on_active_mailboxes
    def turn_transcription_on(self, request, mailboxes):
        turn_on = partial(Mailbox.turn_transcription, on=True)
        self.change_each(
            request, mailboxes.filter(transcribe=False), turn_on, "Transcription turned on"
        )

    @admin.action(description="Turn transcription off", permissions=["change"])
    @on_active_mailboxes
    def turn_transcription_off(self, request, mailboxes):
        turn_off = partial(Mailbox.turn_transcription, on=False)
        self.change_each(
            request, mailboxes.filter(transcribe=True), turn_off, "Transcription turned off"
        )


@admin.register(EmailRecipient)
class EmailRecipientAdmin(ReadOnlyIfDeleted):
    form = EmailRecipientForm
    fields = ["mailbox", "email"]
    list_display = ["email", "mailbox", "account", "created_at"]
    list_select_related = ["mailbox__account"]
    locked = ["mailbox"]  # as every writer of recipients does
    search_fields = ["email", "mailbox__name", "mailbox__account__name"]
    autocomplete_fields = ["mailbox"]
    actions = [on_active_mailboxes(delete_selected)]

    def search(self, request, recipients, text):
        """Search the names of mailboxes as the console does."""
        for word in text.split():
            found = Q(email__icontains=word) | Q(mailbox__account__name__icontains=word)
            recipients = recipients.filter(found | contains("name", word, "mailbox__"))
        return recipients, False

    def get_mailbox(self, recipient):
        return recipient.mailbox

    def get_readonly_fields(self, request, recipient=None):
        """Make the mailbox of an existing recipient read-only: a recipient cannot move."""
        return ["mailbox"] if recipient else []

    @admin.display(ordering="mailbox__account__name")
    def account(self, recipient):
        return recipient.mailbox.account
