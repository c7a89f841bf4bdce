"""Users, groups, second factors and failed sign-ins in the admin."""

from axes.admin import AccessAttemptAdmin, IsLockedOutFilter
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes.admin.base import ServiceAdmin
from mailboxes.staff import users

admin.site.unregister([AccessFailureLog, AccessLog])  # django-axes writes nothing to them here
admin.site.unregister([AccessAttempt, Group, StaticDevice, TOTPDevice, User])


@admin.register(User)
class StaffAdmin(ServiceAdmin, UserAdmin):
    list_select_related = []

    def get_object(self, request, object_id, from_field=None):
        if not transaction.get_autocommit():
            users.lock_managers(request.user)
        return super().get_object(request, object_id, from_field)

    def get_readonly_fields(self, request, user=None):
        """Keep administrators from locking themselves out."""
        is_own = user is not None and not users.may_change(request.user, user)
        return ["is_active", "is_staff", "is_superuser"] if is_own else []

    def has_delete_permission(self, request, user=None):
        is_own = user is not None and not users.may_change(request.user, user)
        return super().has_delete_permission(request, user) and not is_own

    def lookup_allowed(self, lookup, value, request):
        """Refuse lookups for which SQLite raises OverflowError; the filter has another one."""
        is_group = lookup in ("groups", "groups__exact")
        return not is_group and super().lookup_allowed(lookup, value, request)


@admin.register(Group)
class StaffGroupAdmin(ServiceAdmin, GroupAdmin):
    list_select_related = []


@admin.register(AccessAttempt)
class FailedSignInAdmin(ServiceAdmin, AccessAttemptAdmin):
    list_select_related = []
    list_filter = [IsLockedOutFilter]
    date_hierarchy = None


@admin.register(StaticDevice, TOTPDevice)
class DeviceAdmin(ServiceAdmin):
    """A list of devices, from which they can be deleted. Only their users can set them up."""

    list_display = ["user", "name", "created_at", "last_used_at", "confirmed"]
    list_select_related = ["user"]
    search_fields = ["user__username", "user__email"]
    fields = [
        "user",
        "name",
        "confirmed",
        "created_at",
        "last_used_at",
        "throttling_failure_timestamp",
        "throttling_failure_count",
    ]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, device=None):
        return False

    def log_deletions(self, request, queryset):
        """Add a deletion to the history of the login, too."""
        is_app = self.model is TOTPDevice
        text = "Second factor turned off." if is_app else "Recovery codes removed."
        for device in queryset:
            log = LogEntry.objects.log_actions
            log(request.user.pk, [device.user], CHANGE, text, single_object=True)
        return super().log_deletions(request, queryset)
