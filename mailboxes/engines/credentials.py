"""Which engine asks: the credential that it shows, by Basic authentication."""

import base64
from functools import wraps

from django.core.exceptions import RequestDataTooBig
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from mailboxes.db.connections import UNAVAILABLE
from mailboxes.models import ApiCredential
from mailboxes.monitoring import logs

CHALLENGE = {"WWW-Authenticate": 'Basic realm="mailboxes"'}


def engine_lookup(view):
    """A view that an engine posts to; it is given the engine's credential.

    401 without a good one, 403 from outside its networks, 413 where it posts too much, 503 while
    the database is away.
    """

    @csrf_exempt
    @require_POST
    @wraps(view)
    def guarded(request):
        try:
            credential = shown_credential(request)
            if credential is None:
                return HttpResponse(status=401, headers=CHALLENGE)
            if not credential.allows(request.META["REMOTE_ADDR"]):
                logs.refusal.set("network")
                return HttpResponse(status=403)
            credential.mark_used()
            request.auth = credential  # history and the log name it
            return view(request, credential)
        except RequestDataTooBig:
            return HttpResponse(status=413)
        except UNAVAILABLE:
            return HttpResponse(status=503)

    return guarded


def shown_credential(request) -> ApiCredential | None:
    """The engine's credential whose name and secret are the user and password of RFC 7617, or None."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return ApiCredential.objects.authenticate(secret, name=name, is_engine=True)
