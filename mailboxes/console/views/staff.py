"""Staff: list, add and change them, lock and unlock their logins, replace what they lost."""

from datetime import timedelta

from axes.utils import reset
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import PasswordResetConfirmView
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mailboxes.console.access import add_success, staff_with
from mailboxes.console.writing import atomic_post, lock_for_update, log_change, log_creation
from mailboxes.staff import second_factor, users
from mailboxes.staff.forms import FirstPasswordForm, NewStaffForm, StaffForm
from mailboxes.staff.resubmission import get_form_uuid
from mailboxes.staff.unsent import fill_in

ROWS_PER_PAGE = 50
ENTRIES_PER_PAGE = 20

form_page = require_http_methods(["GET", "HEAD", "POST"])
may_change_staff = staff_with("auth.view_user", "auth.change_user")


@require_safe
@staff_with("auth.view_user")
def staff_list(request):
    staff = users.list_staff().prefetch_related("groups")
    page = Paginator(staff, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    locked_out = users.find_locked_out([user.username for user in page])
    return render(request, "console/staff_list.html", {"page": page, "locked_out": locked_out})


@require_safe
@staff_with("auth.view_user")
def staff_login(request, pk):
    """Show a login of staff, and a page of its history."""
    login = get_object_or_404(users.list_staff(), pk=pk)
    history = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(User), object_id=str(pk)
    ).select_related("user")
    may_change = request.user.has_perm("auth.change_user")
    context = {
        "login": login,
        "is_locked_out": login.username in users.find_locked_out([login.username]),
        "may_change": may_change and users.may_change(request.user, login),
        "page": Paginator(history, ENTRIES_PER_PAGE).get_page(request.GET.get("page")),
    }
    return render(request, "console/staff_login.html", context)


@form_page
@staff_with("auth.view_user", "auth.add_user", "auth.change_user")
@atomic_post
def staff_add(request):
    """Create a login, and show the link with which its user sets a password."""
    form = fill_in(request, NewStaffForm(request.user, request.POST or None))
    if request.method == "POST":
        users.lock_managers(request.user)
    if form.is_valid():
        login = form.save()
        log_creation(request, login, f"Login created. {form.describe_values()}")
        return render_password_link(request, login, is_new=True)
    is_taken = list(form.errors) == ["username"] and form.has_error("username", "unique")
    if get_form_uuid(request) and is_taken:
        username = form["username"].value().strip()
        login = users.find_just_added(
            username, request.user
        )  # this is the second of a double click
        if login and users.may_change(request.user, login):
            return render_password_link(request, login, is_new=True)
    return render(request, "console/staff_add.html", {"form": form})


@form_page
@may_change_staff
@atomic_post
def staff_edit(request, pk):
    login = get_login(request, pk)
    form = fill_in(request, StaffForm(request.user, request.POST or None, instance=login))
    if form.is_valid():
        if form.has_changed():
            form.save()
            log_change(request, login, form.describe_changes())
            add_success(request, _("%(name)s was changed.") % {"name": login})
        return redirect("console:staff-login", pk)
    return render(request, "console/staff_edit.html", {"login": login, "form": form})


@form_page
@may_change_staff
@atomic_post
def staff_lock(request, pk):
    """Show the effects, and lock the login on POST."""
    login = get_login(request, pk)
    if request.method == "POST" and login.is_active:
        users.lock(login)
        log_change(request, login, "Login locked.")
        add_success(request, _("%(name)s is locked and signed out.") % {"name": login})
    if not login.is_active:
        return redirect("console:staff-login", pk)
    return render(request, "console/staff_lock.html", {"login": login})


@require_POST
@may_change_staff
@atomic_post
def staff_unlock(request, pk):
    login = get_login(request, pk)
    users.unlock(login)
    log_change(request, login, "Login unlocked.")
    add_success(request, _("%(name)s is unlocked and can sign in.") % {"name": login})
    return redirect("console:staff-login", pk)


@form_page
@may_change_staff
@atomic_post
def staff_second_factor(request, pk):
    """Show the effects, and remove the login's second factor on POST."""
    login = get_login(request, pk)
    is_on = second_factor.is_enabled(login)
    if request.method == "POST" and is_on:
        second_factor.disable(login)
        log_change(request, login, "Second factor turned off.")
        text = _("The second factor of %(name)s is off. Ask for it to be set up again.")
        add_success(request, text % {"name": login})
    if request.method == "POST" or not is_on:
        return redirect("console:staff-login", pk)
    return render(request, "console/staff_second_factor.html", {"login": login})


@require_POST
@may_change_staff
@atomic_post
def staff_password_link(request, pk):
    login = get_login(request, pk)
    log_change(request, login, "Link made, with which the user sets a password.")
    return render_password_link(request, login)


def get_login(request, pk):
    """Return the login, locked on POST. Raises Http404 or PermissionDenied."""
    if request.method == "POST":
        users.lock_managers(request.user)
    login = get_object_or_404(lock_for_update(request, User.objects.filter(is_staff=True)), pk=pk)
    if not users.may_change(request.user, login):
        raise PermissionDenied
    return login


def render_password_link(request, login, is_new=False):
    """Show a link with which the password is set, in this answer only."""
    uid = urlsafe_base64_encode(force_bytes(login.pk))
    path = reverse("console:set-password", args=[uid, default_token_generator.make_token(login)])
    context = {
        "login": login,
        "is_new": is_new,
        "link": request.build_absolute_uri(path),
        "until": timezone.now() + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT),
    }
    return render(request, "console/staff_password_link.html", context)


class SetPasswordView(PasswordResetConfirmView):
    """Set a password with the link from a Manager, which works once."""

    form_class = FirstPasswordForm
    template_name = "registration/set_password.html"
    success_url = reverse_lazy("console:sign-in")

    def form_valid(self, form):
        response = super().form_valid(form)
        reset(username=self.user.username)
        entry = "Password set with the link."
        LogEntry.objects.log_actions(self.user.pk, [self.user], CHANGE, entry, single_object=True)
        add_success(self.request, _("Your password is set. Sign in with it."))
        return response
