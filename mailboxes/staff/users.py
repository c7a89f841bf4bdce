"""Rules for changes of staff logins, which console and admin share."""

from datetime import timedelta

from axes.models import AccessAttempt
from axes.utils import reset
from django.conf import settings
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, Sum
from django.utils import timezone

from mailboxes.models.second_factor import Authenticator

PERMISSION_BACKEND = "django.contrib.auth.backends.ModelBackend"


def list_staff():
    """Return all staff by username, with `has_second_factor`."""
    devices = Authenticator.objects.filter(user=OuterRef("pk"), confirmed=True)
    staff = User.objects.filter(is_staff=True).annotate(has_second_factor=Exists(devices))
    return staff.order_by("username")


def held_by(user) -> Q:
    """Return the condition for permissions that a user has, even if locked."""
    return Q(user=user) | Q(group__user=user)


def list_lacking(user):
    """Return the permissions that the user lacks."""
    everything = Permission.objects.all()
    return everything.none() if user.is_superuser else everything.exclude(held_by(user))


def may_change(manager, user) -> bool:
    """Return True for another user without any permission that the manager lacks."""
    if user == manager:
        return False
    is_above = user.is_superuser and not manager.is_superuser
    return not is_above and not list_lacking(manager).filter(held_by(user)).exists()


def list_groups_to_give(manager):
    """Return the groups that have no permission that the manager lacks."""
    return Group.objects.exclude(permissions__in=list_lacking(manager)).order_by("pk")


def lock_managers(manager):
    """Let one transaction at a time change staff. Raises PermissionDenied.

    A manager who was locked meanwhile is refused. Nobody may lock their own login, so one who
    may unlock the others is always left.
    """
    managers = User.objects.with_perm("auth.change_user", backend=PERMISSION_BACKEND)
    if manager not in managers.filter(is_staff=True).select_for_update().order_by("pk"):
        raise PermissionDenied


def find_just_added(username, manager):
    """Return the login if the manager created it in the last minute, and it was never used."""
    start = timezone.now() - timedelta(minutes=1)
    login = list_staff().filter(username=username, date_joined__gt=start, last_login=None).first()
    if login is None:
        return None
    kind = ContentType.objects.get_for_model(User)
    added = LogEntry.objects.filter(content_type=kind, object_id=str(login.pk))
    return login if added.filter(action_flag=ADDITION, user=manager).exists() else None


def lock(user):
    """Refuse the user's password, and end all sessions (see mailboxes.staff.sessions)."""
    user.is_active = False
    user.save(update_fields=["is_active"])


def unlock(user):
    """Revert `lock`, and forget wrong passwords, so that a lock-out ends too."""
    user.is_active = True
    user.save(update_fields=["is_active"])
    reset(username=user.username)


def find_locked_out(usernames) -> set[str]:
    """Return those of the usernames that are locked out from any address by wrong passwords."""
    recent = AccessAttempt.objects.filter(
        username__in=usernames, attempt_time__gt=timezone.now() - settings.AXES_COOLOFF_TIME
    )
    counts = recent.order_by().values("username", "ip_address")
    counts = counts.annotate(failures=Sum("failures_since_start"))
    locked = counts.filter(failures__gte=settings.AXES_FAILURE_LIMIT)
    return {row["username"] for row in locked}
