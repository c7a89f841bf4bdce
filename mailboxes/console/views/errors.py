"""The page in place of one that cannot be made, or is refused; why, the log tells."""

import sys

from django.core.exceptions import DisallowedHost
from django.shortcuts import render
from django.views import csrf, defaults

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
    logs.refusal.set("csrf")
    return csrf.csrf_failure(request, reason)


def server_error(request):
    """503 while the database does not answer, for whoever watches and for whoever waits; else 500.

    Django calls it while it handles the exception. Both pages are made without the request:
    looking up who is signed in would ask the database.
    """
    if not isinstance(sys.exception(), UNAVAILABLE):
        return defaults.server_error(request)
    page = render(None, "503.html", status=503)
    page["Retry-After"] = RETRY_SECONDS
    return page
