"""The admin: declarations. What changes a row is the row's own method; what was changed is in the log."""

from functools import partial

from axes.models import AccessFailureLog, AccessLog
from django.contrib import admin, messages
from django.contrib.admin.utils import model_ngettext
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import PermissionDenied
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
from mailboxes.history import changes, reveal
from mailboxes.models import Account, ApiCredential, EmailRecipient, Mailbox

admin.site.site_title = admin.site.site_header = "Mailbox service"
admin.site.index_title = "Administration"
admin.site.enable_nav_sidebar = False  # the list of mailboxes needs the width
admin.site.unregister([AccessFailureLog, AccessLog])  # nothing is written there

MOST_SEARCHED = 254  # characters, as many as an address may have


class ServiceAdmin(admin.ModelAdmin):
    """What is written is first held against other writers; an action is done to all its rows or to none."""

    show_full_result_count = False
    held = ["self"]

    def lookup_allowed(self, lookup, value, request):
        """Only what the page's own filters ask: others would let one guess at a sealed column, letter by letter."""
        filters = [getattr(f, "parameter_name", f) for f in self.get_list_filter(request)]
        return lookup.partition("__")[0] in filters

    def get_changeform_initial_data(self, request):
        """An address fills in no form."""
        return {}

    def get_search_results(self, request, rows, search_term):
        """None for more text than any row has: each of thousands of words would be looked for."""
        if len(search_term) > MOST_SEARCHED:
            return rows.none(), False
        return self.search(request, rows, search_term.replace("\0", ""))

    def search(self, request, rows, text):
        """The rows found by the text, and whether some may be among them twice."""
        return super().get_search_results(request, rows, text)

    def hold(self, rows):
        """The rows, locked until the transaction ends."""
        return rows.select_related(*self.list_select_related).select_for_update(of=self.held)

    def get_object(self, request, object_id, from_field=None):
        """Hold the row where a transaction is open: the admin opens one only to write."""
        row = super().get_object(request, object_id, from_field)
        if row and not transaction.get_autocommit():
            row.refresh_from_db(from_queryset=self.hold(self.model.objects.all()))
        return row

    @transaction.atomic
    def response_action(self, request, queryset):
        return super().response_action(request, self.hold(queryset))

    def delete_queryset(self, request, queryset):
        """Row by row, as each row's own page does: a bulk delete asks no model."""
        for row in queryset:
            self.delete_model(request, row)

    def change_each(self, request, rows, change, said):
        """Do it to each row, write it in the log, and say to how many."""
        for row in rows:
            change(row)
            self.log_change(request, row, f"{said}.")
        done = f"{said}: {len(rows)} {model_ngettext(self.opts, len(rows))}."
        nothing = "Nothing to do: the selected ones are so already."
        self.message_user(
            request, done if rows else nothing, messages.SUCCESS if rows else messages.WARNING
        )

    def show_once(self, request, template, title, **context):
        """A page that is answered at once: what it shows must not travel in a cookie, as messages do."""
        context |= {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        return TemplateResponse(
            request, f"admin/mailboxes/{self.opts.model_name}/{template}.html", context
        )


class YesNoFilter(admin.SimpleListFilter):
    """Rows of which the condition holds, or those of which it does not."""

    condition: Q

    def lookups(self, request, model_admin):
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request, queryset):
        conditions = {"yes": self.condition, "no": ~self.condition}
        return queryset.filter(conditions.get(self.value(), Q()))


# --- Accounts -----------------------------------------------------------------


class AccountTree(ChangeList):
    """Each account right below its reseller."""

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
        """The name is given once: callers carry it."""
        return ["name", *self.readonly_fields] if account else self.readonly_fields

    def has_delete_permission(self, request, account=None):
        """Only what was made by mistake is deleted; what has anything is suspended."""
        has_anything = account is None or any(
            rows.exists() for rows in (account.mailboxes, account.credentials, account.customers)
        )
        return super().has_delete_permission(request, account) and not has_anything

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
        """Revoked, not deleted: history names the credential that made a change."""
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
    """Active mailboxes, unless others are asked for."""

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


@admin.register(Mailbox)
class MailboxAdmin(ServiceAdmin):
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
        """Each word as the model searches: Django's own search would miss parts of a uuid."""
        for word in text.split():
            mailboxes = mailboxes.search(word, all_accounts=True)
        return mailboxes, False  # none of them twice

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
        """Stands before the mailbox's own `password`, which a page for looking only would show in clear."""
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
        """Show it to whoever may change it, and write in the log that it was shown."""
        if request.method != "POST":  # a bookmark, or the address typed again
            return redirect("admin:mailboxes_mailbox_change", uuid)
        mailbox = self.get_object(request, uuid)
        if mailbox is None:
            raise Http404
        if not self.has_change_permission(request, mailbox):
            raise PermissionDenied
        try:
            code = reveal(mailbox, request.user)
        except UnknownKeyError as error:
            self.message_user(request, str(error), messages.ERROR)
            return redirect("admin:mailboxes_mailbox_change", uuid)
        return self.show_once(request, "pass_code", "Pass code", mailbox=mailbox, code=code)

    def history_view(self, request, object_id, extra_context=None):
        """What anyone did to the mailbox, beside what Django tells: what was done in the admin."""
        mailbox = self.get_object(request, object_id)
        extra_context = {"changes": changes(mailbox) if mailbox else []}
        return super().history_view(request, object_id, extra_context)

    # Deletion is soft and takes nothing along, so there is nothing to look for.

    def get_deleted_objects(self, mailboxes, request):
        names = [str(mailbox) for mailbox in mailboxes]
        return names, {self.opts.verbose_name_plural: len(names)}, set(), []

    def has_change_permission(self, request, mailbox=None):
        """A deleted mailbox is restored first."""
        deleted = mailbox is not None and mailbox.is_deleted
        return super().has_change_permission(request, mailbox) and not deleted

    def has_delete_permission(self, request, mailbox=None):
        deleted = mailbox is not None and mailbox.is_deleted
        return super().has_delete_permission(request, mailbox) and not deleted

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
class EmailRecipientAdmin(ServiceAdmin):
    form = EmailRecipientForm
    fields = ["mailbox", "email"]
    list_display = ["email", "mailbox", "account", "created_at"]
    list_select_related = ["mailbox__account"]
    held = ["mailbox"]  # which every writer of recipients locks
    search_fields = ["email", "mailbox__name", "mailbox__account__name"]
    autocomplete_fields = ["mailbox"]

    def get_readonly_fields(self, request, recipient=None):
        """A recipient stays with its mailbox."""
        return ["mailbox"] if recipient else []

    def has_change_permission(self, request, recipient=None):
        """A deleted mailbox is restored first."""
        deleted = recipient is not None and recipient.mailbox.is_deleted
        return super().has_change_permission(request, recipient) and not deleted

    def has_delete_permission(self, request, recipient=None):
        deleted = recipient is not None and recipient.mailbox.is_deleted
        return super().has_delete_permission(request, recipient) and not deleted

    @admin.display(ordering="mailbox__account__name")
    def account(self, recipient):
        return recipient.mailbox.account
