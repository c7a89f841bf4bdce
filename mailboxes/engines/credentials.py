"""Basic authentication of telephone engines."""

import base64
from functools import wraps

from django.core.exceptions import RequestDataTooBig
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from mailboxes.db.connections import UNAVAILABLE
from mailboxes.http.bodies import UNENCODED, TooManyFilesError, is_encoded
from mailboxes.models import ApiCredential
from mailboxes.monitoring import logs

CHALLENGE = {"WWW-Authenticate": 'Basic realm="mailboxes"'}


FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def engine_lookup(view):
    """Decorate a view to accept an engine's POST only, and pass it the engine's credential.

    Answers 401 without a good credential, 403 from outside its networks, 413 to a body that is
    too large, 415 to one that is not a plain form, and 503 if the database does not answer or too
    many long answers are being sent.
    """

    @csrf_exempt
    @require_POST
    @wraps(view)
    def wrapper(request):
        try:
            credential = find_credential(request)
            if credential is None:
                return HttpResponse(status=401, headers=CHALLENGE)
            if not credential.allows(request.META["REMOTE_ADDR"]):
                logs.refusal.set("network")
                return HttpResponse(status=403)
            credential.mark_used()
            request.auth = credential  # for history and the log
            return refuse_body(request) or view(request, credential)
        except RequestDataTooBig:
            return HttpResponse(status=413)
        except (*UNAVAILABLE, TooManyFilesError):
            return HttpResponse(status=503)

    return wrapper


def refuse_body(request) -> HttpResponse | None:
    """Return the 415 for a body that is not a plain form. Its text is for people only."""
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    if is_encoded(request):
        headers["Accept-Encoding"] = "identity"
        return HttpResponse(UNENCODED, status=415, headers=headers)
    if request.content_type not in FORMS and request.body:
        text = f"Send the body as a form, with Content-Type: {FORMS[0]}."
        return HttpResponse(text, status=415, headers=headers)
    return None


def find_credential(request) -> ApiCredential | None:
    """Find the credential by the user (its name) and password (its secret) of RFC 7617."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return ApiCredential.objects.authenticate(secret, name=name, is_engine=True)
