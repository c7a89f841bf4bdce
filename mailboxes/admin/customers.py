"""Accounts and API credentials in the admin."""

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db.models import DateTimeField, Q, TextField
from django.shortcuts import redirect

from mailboxes.admin.base import ServiceAdmin, YesNoFilter
from mailboxes.form_fields import MomentInput
from mailboxes.history import list_reasons_to_keep
from mailboxes.models import Account, ApiCredential
from mailboxes.own_changes import OwnChangesForm
from mailboxes.staff.resubmission import get_form_uuid


class AccountTree(ChangeList):
    """A list page that shows each account below its reseller."""

    def get_ordering(self, request, queryset):
        return ["lineage"]


@admin.register(Account)
class AccountAdmin(ServiceAdmin):
    form = OwnChangesForm
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

    def search(self, request, accounts, text):
        """Search as the console does."""
        return accounts.search(text), False

    def get_readonly_fields(self, request, account=None):
        """Make the name of an existing account read-only, because programs send it in calls."""
        return ["name", *self.readonly_fields] if account else self.readonly_fields

    def has_delete_permission(self, request, account=None):
        """Allow deletion of one account at a time."""
        return super().has_delete_permission(request, account) and account is not None

    def delete_view(self, request, object_id, extra_context=None):
        """If the account cannot be deleted, lead to the console's page, which says why."""
        account = self.get_object(request, object_id)
        if self.has_delete_permission(request, account) and list_reasons_to_keep(account):
            return redirect("console:account-delete", account)
        return super().delete_view(request, object_id, extra_context)

    def get_deleted_objects(self, accounts, request):
        """Include the credentials, which may not be deleted on their own."""
        credentials = ApiCredential.objects.filter(account__in=accounts).select_related("account")
        counts = {
            self.opts.verbose_name_plural: len(accounts),
            ApiCredential._meta.verbose_name_plural: len(credentials),
        }
        return [str(row) for row in [*accounts, *credentials]], counts, set(), []

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
    form = OwnChangesForm
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
    fields = ["account", "is_engine", "sends_mail", "name", "networks", "expires_at"]
    record = ["prefix", "created_at", "last_used_at", "revoked_at"]
    actions = ["revoke"]
    formfield_overrides = {
        TextField: {"widget": AdminTextInputWidget},
        # One input instead of the admin's two, for which OwnChangesForm finds no first value.
        DateTimeField: {"form_class": forms.DateTimeField, "widget": MomentInput},
    }

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
            secret = ApiCredential.make_secret(get_form_uuid(request))
            credential.secret = credential.issue(secret)

    def find_added(self, form_uuid):
        secret = ApiCredential.make_secret(form_uuid)
        if credential := ApiCredential.objects.just_issued(secret):
            credential.secret = secret
        return credential

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
