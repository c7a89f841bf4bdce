"""Permissions of console pages, and redirects and messages after an action."""

from functools import wraps
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache

from mailboxes.staff.permissions import require_permissions


def staff_with(*permissions):
    """Decorate a view for staff with all of these permissions; no cache stores its answers.

    Other users get PermissionDenied. Anonymous users are sent to the sign-in page.
    """

    def decorate(view):
        @wraps(view)
        def guarded(request, *args, **kwargs):
            user = request.user
            if not user.is_authenticated:
                return redirect_to_login(get_return_address(request))
            if not user.is_staff:
                raise PermissionDenied
            require_permissions(user, permissions)
            return view(request, *args, **kwargs)

        return never_cache(guarded)

    return decorate


def may_export_pass_codes(user) -> bool:
    return user.has_perm("mailboxes.change_mailbox")


def get_return_address(request):
    """Return the page to open after sign-in: for a POST, the page that has the form.

    The address may be foreign: the sign-in page refuses other hosts.
    """
    address = request.get_full_path()
    return address if request.method in ("GET", "HEAD") else request.headers.get("Referer", address)


def get_return_page(request):
    """Return the page that has the form, or the form's own address if that page is foreign."""
    return make_local(request, get_return_address(request)) or request.get_full_path()


def add_success(request, text, batch=None, undo=""):
    """Add a success message for the next page.

    With a batch or the address `undo`, which takes a POST, it has an Undo button.
    """
    undo = resolve_url("console:undo", batch.pk) if batch else undo
    messages.success(request, text, extra_tags=undo)


def add_lost_key(request, error):
    """Add a message for an UnknownKeyError."""
    messages.error(request, f"{error} {_('Ask your administrator.')}")


def get_next_page(request, default):
    """Return the form's `next` if it is an address of this site, else that of `default`."""
    return make_local(request, request.POST.get("next", "")) or resolve_url(default)


def redirect_to_next(request, default):
    """Redirect to the page that `get_next_page` returns.

    Django's `redirect` would take a text without a slash for the name of a URL, and fail.
    """
    return HttpResponseRedirect(get_next_page(request, default))


def make_local(request, address):
    """Return the address if it is one of this site, else an empty string."""
    secure = request.is_secure()
    is_local = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=secure)
    return address if is_local else ""


def keep_table(request) -> dict:
    """Return the address of the table as it was when a mailbox was opened from it.

    `kept_query` is the query string that keeps it through the mailbox's pages.
    """
    query = request.GET.get("list")
    address = resolve_url("console:mailbox-list")
    if not query:
        return {"table_address": address, "kept_query": ""}
    return {
        "table_address": f"{address}?{query}",
        "kept_query": "?" + urlencode({"list": query}),
    }


def keep_messages(request) -> dict:
    """Return what `keep_table` does, or the table of messages that linked to the page.

    The address of that table is `message_table`.
    """
    query = request.GET.get("from")
    if query is None:
        return keep_table(request)
    address = resolve_url("console:message-list")
    return {
        "table_address": resolve_url("console:mailbox-list"),
        "message_table": f"{address}?{query}" if query else address,
        "kept_query": "?" + urlencode({"from": query}),
    }


def redirect_to_mailbox(request, uuid):
    return redirect(resolve_url("console:mailbox", uuid) + keep_table(request)["kept_query"])


def redirect_to_table(selection):
    """Redirect to the table with the filters that it had when the rows were selected."""
    address = resolve_url("console:mailbox-list")
    return redirect(f"{address}?{selection.table.address}" if selection.table.address else address)


def refuse_empty_selection(request, selection):
    """Redirect to the table, with a message that says why there is nothing to do."""
    count = selection.listed.count()
    if not count:
        text = _("No mailbox was selected. Select some rows first.")
    elif selection.deleted:
        text = _("Nothing was done: none of these mailboxes is deleted.")
    elif request.resolver_match.url_name == "bulk-delete":
        text = _("Nothing was done: these mailboxes are deleted.")
    else:
        text = ngettext(
            "This mailbox was deleted. Restore it first.",
            "These mailboxes were deleted. Restore them first.",
            count,
        )
    messages.warning(request, text)
    return redirect_to_table(selection)
