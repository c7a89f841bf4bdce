"""Declarations of the Django admin. Rows change by methods of their models."""

from contextlib import suppress
from functools import partial

from axes.models import AccessFailureLog, AccessLog
from django.contrib import admin, messages
from django.contrib.admin.utils import model_ngettext
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextInputWidget, AutocompleteSelect
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Count, OuterRef, Q, Subquery, TextField
from django.db.models.functions import Coalesce
from django.http import Http404
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path

from mailboxes import contract
from mailboxes.encryption import UnknownKeyError
from mailboxes.filters import HAS_GREETING, HAS_PASS_CODE, HAS_RECIPIENTS, HAS_WEAK_PASS_CODE
from mailboxes.forms import EmailRecipientForm, MailboxForm, RecipientFormSet
from mailboxes.history import list_changes, reveal_pass_code
from mailboxes.models import Account, ApiCredential, EmailRecipient, Mailbox

admin.site.site_title = admin.site.site_header = "Mailbox service"
admin.site.index_title = "Administration"
admin.site.enable_nav_sidebar = False  # the table of mailboxes needs the width
admin.site.unregister([AccessFailureLog, AccessLog])  # django-axes writes nothing to them here

MAX_SEARCH_LENGTH = 254  # characters, as in an email address


class ValidAutocompleteSelect(AutocompleteSelect):
    """An autocomplete field that ignores invalid keys, for which Django's raises ValueError."""

    def optgroups(self, name, value, attr=None):
        return super().optgroups(name, list(filter(self.is_key, value)), attr)

    def is_key(self, text) -> bool:
        with suppress(ValidationError):
            return self.field.target_field.clean(text, None) is not None
        return False


class ServiceAdmin(admin.ModelAdmin):
    """Lock rows before a write; an action applies to all selected rows or to none."""

    show_full_result_count = False
    locked = ["self"]

    def lookup_allowed(self, lookup, value, request):
        """Allow filters of the page only: others in the URL could reveal encrypted columns."""
        filters = [getattr(f, "parameter_name", f) for f in self.get_list_filter(request)]
        return lookup.partition("__")[0] in filters

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = ValidAutocompleteSelect(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_changeform_initial_data(self, request):
        """Ignore initial data from the query string."""
        return {}

    def get_search_results(self, request, rows, search_term):
        """Find nothing for very long texts, because each word is a condition of the query."""
        if len(search_term) > MAX_SEARCH_LENGTH:
            return rows.none(), False
        return self.search(request, rows, search_term.replace("\0", ""))

    def search(self, request, rows, text):
        """Return the matching rows, and True if they may have duplicates."""
        return super().get_search_results(request, rows, text)

    def lock(self, rows):
        return rows.select_related(*self.list_select_related).select_for_update(of=self.locked)

    def get_object(self, request, object_id, from_field=None):
        """Lock the row if a transaction is open: the admin opens one only to write."""
        row = super().get_object(request, object_id, from_field)
        if row and not transaction.get_autocommit():
            row.refresh_from_db(from_queryset=self.lock(self.model.objects.all()))
        return row

    @transaction.atomic
    def response_action(self, request, queryset):
        return super().response_action(request, self.lock(queryset))

    def delete_queryset(self, request, queryset):
        """Delete row by row, because a bulk delete calls no model methods."""
        for row in queryset:
            self.delete_model(request, row)

    def change_each(self, request, rows, change, description):
        """Call `change` for each row, log it, and show a message with the number of rows."""
        for row in rows:
            change(row)
            self.log_change(request, row, f"{description}.")
        done = f"{description}: {len(rows)} {model_ngettext(self.opts, len(rows))}."
        nothing = "Nothing to do: no selected row needs this change."
        self.message_user(
            request, done if rows else nothing, messages.SUCCESS if rows else messages.WARNING
        )

    def show_once(self, request, template, title, **context):
        """Render a secret in the answer itself, because messages are stored in a cookie."""
        context |= {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        return TemplateResponse(
            request, f"admin/mailboxes/{self.opts.model_name}/{template}.html", context
        )


class YesNoFilter(admin.SimpleListFilter):
    """Filter the list by a condition (Yes) or by its opposite (No)."""

    condition: Q

    def lookups(self, request, model_admin):
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request, queryset):
        conditions = {"yes": self.condition, "no": ~self.condition}
        return queryset.filter(conditions.get(self.value(), Q()))


# --- Accounts -----------------------------------------------------------------


class AccountTree(ChangeList):
    """A list page that shows each account below its reseller."""

    def get_ordering(self, request, queryset):
        return ["lineage"]


@admin.register(Account)
class AccountAdmin(ServiceAdmin):
    list_display = ["indented_name", "contact_name", "reseller", "is_active"]
    list_filter = ["is_active"]
    list_select_related = ["reseller"]
    sortable_by = []
    search_fields = ["name", "contact_name"]
    autocomplete_fields = ["reseller"]
    readonly_fields = ["created_at"]
    actions = ["suspend", "reactivate"]

    def get_queryset(self, request):
        return Account.objects.in_tree_order()

    def get_changelist(self, request, **kwargs):
        return AccountTree

    def get_readonly_fields(self, request, account=None):
        """Make the name of an existing account read-only, because programs send it in calls."""
        return ["name", *self.readonly_fields] if account else self.readonly_fields

    def has_delete_permission(self, request, account=None):
        """Allow deletion of empty accounts only; one with data can be suspended instead."""
        has_data = account is None or any(
            rows.exists() for rows in (account.mailboxes, account.credentials, account.customers)
        )
        return super().has_delete_permission(request, account) and not has_data

    @admin.display(description="name")
    def indented_name(self, account):
        return "\N{NO-BREAK SPACE}" * 6 * account.depth + account.name

    @admin.action(description="Suspend selected accounts", permissions=["change"])
    def suspend(self, request, accounts):
        self.change_each(request, accounts.filter(is_active=True), Account.suspend, "Suspended")

    @admin.action(description="Reactivate selected accounts", permissions=["change"])
    def reactivate(self, request, accounts):
        self.change_each(
            request, accounts.filter(is_active=False), Account.reactivate, "Reactivated"
        )


class IsRevoked(YesNoFilter):
    title = parameter_name = "revoked"
    condition = Q(revoked_at__isnull=False)


@admin.register(ApiCredential)
class ApiCredentialAdmin(ServiceAdmin):
    list_display = [
        "name",
        "account",
        "is_engine",
        "prefix",
        "networks",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ]
    list_filter = ["is_engine", IsRevoked]
    list_select_related = ["account"]
    search_fields = ["name", "account__name", "prefix"]
    autocomplete_fields = ["account"]
    fields = ["account", "is_engine", "name", "networks", "expires_at"]
    record = ["prefix", "created_at", "last_used_at", "revoked_at"]
    actions = ["revoke"]
    formfield_overrides = {TextField: {"widget": AdminTextInputWidget}}

    def get_fields(self, request, credential=None):
        return self.fields + self.record if credential else self.fields

    def get_readonly_fields(self, request, credential=None):
        return ["account", "is_engine", "name", *self.record] if credential else []

    def has_delete_permission(self, request, credential=None):
        """Credentials are revoked instead, because history names them as authors."""
        return False

    def save_model(self, request, credential, form, change):
        if change:
            super().save_model(request, credential, form, change)
        else:
            credential.secret = credential.issue()

    def response_add(self, request, credential, post_url_continue=None):
        login_fields = credential.login_fields(credential.secret)
        return self.show_once(
            request, "secret", "Credential issued", credential=credential, login_fields=login_fields
        )

    @admin.action(description="Revoke selected API credentials", permissions=["change"])
    def revoke(self, request, credentials):
        self.change_each(
            request, credentials.filter(revoked_at=None), ApiCredential.revoke, "Revoked"
        )


# --- Mailboxes ----------------------------------------------------------------


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

    def has_change_permission(self, request, row=None):
        is_deleted = row is not None and self.get_mailbox(row).is_deleted
        return super().has_change_permission(request, row) and not is_deleted

    def has_delete_permission(self, request, row=None):
        is_deleted = row is not None and self.get_mailbox(row).is_deleted
        return super().has_delete_permission(request, row) and not is_deleted


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
    record = ["uuid", "state", "version", "created_at", "updated_at"]
    readonly_fields = record
    actions = ["restore", "turn_transcription_on", "turn_transcription_off"]

    def get_queryset(self, request):
        recipients = EmailRecipient.objects.filter(mailbox=OuterRef("pk")).order_by()
        counted = recipients.values("mailbox").annotate(count=Count("pk")).values("count")
        mailboxes = super().get_queryset(request)
        return mailboxes.annotate(recipient_count=Coalesce(Subquery(counted), 0))

    def search(self, request, mailboxes, text):
        """Search as the console does, which also finds parts of a UUID."""
        for word in text.split():
            mailboxes = mailboxes.search(word, all_accounts=True)
        return mailboxes, False

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

    @transaction.atomic
    def show_pass_code(self, request, uuid):
        """Show the pass code to users who may change it, and log that."""
        if request.method != "POST":  # a bookmark or a typed address
            return redirect("admin:mailboxes_mailbox_change", uuid)
        mailbox = self.get_object(request, uuid)
        if mailbox is None:
            raise Http404
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
        extra_context = {"changes": list_changes(mailbox) if mailbox else []}
        return super().history_view(request, object_id, extra_context)

    # Deletion is soft and does not cascade, so there are no related rows to collect.

    def get_deleted_objects(self, mailboxes, request):
        names = [str(mailbox) for mailbox in mailboxes]
        return names, {self.opts.verbose_name_plural: len(names)}, set(), []

    def delete_model(self, request, mailbox):
        mailbox.soft_delete()

    @admin.action(description="Restore selected mailboxes", permissions=["delete"])
    def restore(self, request, mailboxes):
        self.change_each(request, mailboxes.exclude(deleted_at=None), Mailbox.restore, "Restored")

    @admin.action(description="Turn transcription on", permissions=["change"])
    def turn_transcription_on(self, request, mailboxes):
        turn_on = partial(Mailbox.turn_transcription, on=True)
        self.change_each(
            request, mailboxes.filter(transcribe=False), turn_on, "Transcription turned on"
        )

    @admin.action(description="Turn transcription off", permissions=["change"])
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

    def get_mailbox(self, recipient):
        return recipient.mailbox

    def get_readonly_fields(self, request, recipient=None):
        """Make the mailbox of an existing recipient read-only: a recipient cannot move."""
        return ["mailbox"] if recipient else []

    @admin.display(ordering="mailbox__account__name")
    def account(self, recipient):
        return recipient.mailbox.account
