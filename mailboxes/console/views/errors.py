"""The page in place of one that cannot be made."""

import sys

from django.shortcuts import render
from django.views import defaults

from mailboxes.contract import RETRY_SECONDS
from mailboxes.statements import AWAY


def server_error(request):
    """503 while the database does not answer, for whoever watches and for whoever waits; else 500.

    Django calls it while it handles the exception. Both pages are made without the request:
    looking up who is signed in would ask the database.
    """
    if not isinstance(sys.exception(), AWAY):
        return defaults.server_error(request)
    page = render(None, "503.html", status=503)
    page["Retry-After"] = RETRY_SECONDS
    return page
