"""Who may see a page of the console, and what it says after something was done."""

from functools import wraps

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache


def staff_with(*permissions):
    """Only for staff with all of these permissions; kept by no cache.

    Anyone else who is signed in is refused; a stranger signs in first.
    """

    def may_pass(user):
        if user.is_authenticated and not (user.is_staff and user.has_perms(permissions)):
            raise PermissionDenied
        return user.is_authenticated

    def guard(view):
        @wraps(view)
        def guarded(request, *args, **kwargs):
            if may_pass(request.user):
                return view(request, *args, **kwargs)
            return redirect_to_login(page_of(request))

        return never_cache(guarded)

    return guard


def page_of(request):
    """The page that asks: of a form, the one it stands on, for its own address may have none to look at.

    The sign-in page leads to no other host.
    """
    here = request.get_full_path()
    return here if request.method in ("GET", "HEAD") else request.headers.get("Referer", here)


def add_success(request, text, batch=None):
    """Say on the next page what was done; if it was a batch, with a button that undoes it."""
    messages.success(request, text, extra_tags=str(batch.pk) if batch else "")


def next_page(request, otherwise):
    """Where the form asks to go afterwards, if that is a page of ours; or else a page by its name."""
    asked = request.POST.get("next", "")
    secure = request.is_secure()
    if url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=secure):
        return asked
    return resolve_url(otherwise)


def back_to_table(selection):
    """The table as it was when the rows were selected."""
    address = resolve_url("console:mailbox-list")
    return redirect(f"{address}?{selection.table.address}" if selection.table.address else address)


def nothing_selected(request, selection):
    """Back to the table, where rows can be selected."""
    if not selection.named.exists():
        text = _("No mailbox was selected: mark some rows first.")
    elif selection.deleted:
        text = _("Nothing was done: none of these mailboxes is deleted.")
    else:
        text = _("Nothing was done: these mailboxes are deleted.")
    messages.warning(request, text)
    return back_to_table(selection)
