"""Error pages. The request log records the reason of a refusal."""

import sys

from django.core.exceptions import DisallowedHost
from django.middleware.csrf import REASON_NO_CSRF_COOKIE
from django.shortcuts import render
from django.views import defaults

from mailboxes.contract import RETRY_SECONDS
from mailboxes.db.connections import UNAVAILABLE
from mailboxes.monitoring import logs


def bad_request(request, exception):
    if isinstance(exception, DisallowedHost):
        logs.refusal.set("host")
    return defaults.bad_request(request, exception)


def permission_denied(request, exception):
    logs.refusal.set("not-permitted")
    return defaults.permission_denied(request, exception)


def csrf_failure(request, reason=""):
    """Explain why a form was refused: another host or scheme, no cookie, or too old a form."""
    logs.refusal.set("csrf")
    origin = request.headers.get("Origin", "null")  # browsers send "null" to hide it
    context = {
        "is_other_origin": reason.startswith(("Origin checking", "Referer checking")),
        "has_no_cookie": reason == REASON_NO_CSRF_COOKIE,
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
