"""Error pages. The request log records the reason of a refusal."""

import sys

from django.core.exceptions import DisallowedHost
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.shortcuts import render
from django.urls import reverse
from django.views import defaults
from django_htmx.http import HttpResponseClientRefresh

from mailboxes.console.access import get_return_page
from mailboxes.console.views.sign_in import sign_in_again
from mailboxes.contract import RETRY_SECONDS
from mailboxes.db.connections import UNAVAILABLE
from mailboxes.monitoring import logs
from mailboxes.staff import unsent


def bad_request(request, exception):
    if isinstance(exception, DisallowedHost):
        logs.refusal.set("host")
    return defaults.bad_request(request, exception)


def permission_denied(request, exception):
    logs.refusal.set("not-permitted")
    return defaults.permission_denied(request, exception)


def csrf_failure(request, reason=""):
    """Explain why a form was refused: another host or scheme, no cookie, or too old a page.

    What was typed is kept, unless the form may be another site's.
    """
    if reason.startswith(("Origin checking", "Referer checking")):
        return refuse_other_origin(request)
    logs.refusal.set("csrf")
    context = {"has_no_cookie": reason == REASON_NO_CSRF_COOKIE}
    if request.path == reverse("console:sign-in"):
        return sign_in_again(request, context)
    typed = unsent.encode(request)
    if request.htmx:
        response = HttpResponseClientRefresh()  # htmx shows no answer with an error status
        response.status_code = 403
    else:
        context |= {"page": get_return_page(request), "is_kept": bool(typed)}
        response = render(request, "403_csrf.html", context, status=403)
    unsent.keep(response, typed)
    return response


def refuse_other_origin(request):
    origin = request.headers.get("Origin", "null")  # browsers send "null" to hide it
    scheme, _separator, host = origin.partition("://")
    is_same_host = host == request.get_host()
    logs.refusal.set("csrf-scheme" if is_same_host else "csrf-host")
    context = {
        "is_other_origin": True,
        "is_same_host": is_same_host,
        "scheme": scheme,
        "origin": "" if origin == "null" else origin,
        "service": f"{request.scheme}://{request.get_host()}",
    }
    return render(request, "403_csrf.html", context, status=403)


def server_error(request):
    """Answer 503 if the database is unavailable, so that clients retry, and 500 otherwise.

    Django calls it while it handles the exception. Both pages are rendered without the request,
    because looking up the user would query the database.
    """
    if not isinstance(sys.exception(), UNAVAILABLE):
        return defaults.server_error(request)
    page = render(None, "503.html", status=503)
    page["Retry-After"] = RETRY_SECONDS
    return page
