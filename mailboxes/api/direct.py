"""The plainest reads, answered before Django makes a request of them: that costs more than the reading.

Who may call, how often, what is read and how it is shown is asked of the same code as in the
view. What is to be refused is left to the view, with the reason.
"""

import re
import time
from functools import lru_cache
from io import BytesIO

import orjson
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.wsgi import WSGIRequest
from django.db import connections
from django.http import HttpResponse
from django.utils.module_loading import import_string
from rest_framework.exceptions import Throttled

from mailboxes import logs, replica
from mailboxes.api import reading
from mailboxes.api.authentication import CredentialAuthentication
from mailboxes.api.conditions import tag_of_content
from mailboxes.api.renderers import MEDIA_TYPE
from mailboxes.api.throttling import CredentialThrottle
from mailboxes.contract import MAILBOXES, envelope
from mailboxes.middleware import STARTED, RequestLog, TrustedProxies
from mailboxes.models import Account, ApiCredential
from mailboxes.validators import UUID_TEXT

if settings.METRICS_NETWORKS:
    from mailboxes.metrics import count

PATH = re.compile(rf"/{MAILBOXES}(?:/(?P<uuid>{UUID_TEXT}))?/?\Z")

# Who sends these asks for something else, or may: only for what has changed, or with a body.
MORE = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_TRANSFER_ENCODING")
NO_BODY = {"", "0"}
ANY_JSON = {MEDIA_TYPE, "application/*", "*/*"}

REFUSED = "mailboxes.refused"  # in the environment, for the view: the call


class DirectReads:
    """WSGI middleware: answers a GET of a mailbox, or of all, where there is nothing to refuse."""

    def __init__(self, application):
        self.application = application
        self.headers = headers_of_every_answer()

    def __call__(self, environ, start_response):
        named = is_plain(environ) and PATH.match(environ["PATH_INFO"])
        call = Call(environ.copy(), named["uuid"]) if named else None
        if call is None or not call.is_for_us():
            return self.application(environ, start_response)
        start = environ[STARTED] = time.perf_counter()
        request_id = environ["HTTP_X_REQUEST_ID"] = RequestLog.id_of(call)
        logs.refusal.set("")
        token = logs.request_id.set(request_id)
        try:
            body, headers = answer(call)
        except Exception as refusal:
            call.refusal, call.why, environ[REFUSED] = refusal, logs.refusal.get(), call
            return self.application(environ, start_response)
        else:
            RequestLog.tell(call, 200, time.perf_counter() - start)
        finally:
            logs.request_id.reset(token)
        if settings.METRICS_NETWORKS:
            count(call.view, call.method, 200, time.perf_counter() - start)
        headers |= self.headers
        headers["X-Request-ID"] = request_id
        start_response("200 OK", list(headers.items()))
        return [body]


class Call(WSGIRequest):
    """As much of a request as it takes to say who calls, for what, and whether it is for us."""

    method = "GET"
    auth: ApiCredential
    user: Account  # type: ignore[assignment]  # on calls of the API
    refusal: Exception
    why: str

    def __init__(self, environ, uuid):
        TrustedProxies.settle(environ)
        self.environ = self.META = environ
        self.path, self.uuid = environ["PATH_INFO"], uuid
        self.view = "mailbox-detail" if uuid else "mailbox-list"

    def is_for_us(self) -> bool:
        """Whether it came as it must, and to a host of ours."""
        try:
            self.get_host()
        except DisallowedHost:
            return False
        return self.is_secure() or not settings.HTTPS

    def authenticate(self) -> None:
        """Learn who calls. What is the caller's own, and read on the primary, is looked up with it."""
        beside: dict = {}
        if not self.META.get("HTTP_X_AUTH_FOR") and replica.REPLICA not in connections.settings:
            beside = {"statement": reading.ALL_OF_CALLER}
            if self.uuid:
                beside = {"statement": reading.ONE_OF_CALLER, "uuid": self.uuid}
        self.user, self.auth = CredentialAuthentication(**beside).authenticate(self)

    def found(self, using: str) -> tuple:
        """What is asked for, and its headers. Raises NotFound."""
        if beside := self.auth.beside:
            return reading.one_in(*beside) if self.uuid else reading.all_in(*beside)
        if self.uuid:
            return reading.one_of(using, self.user.pk, self.uuid)
        return reading.all_of(using, self.user.pk)

    def refuse(self, request) -> None:
        """Raise in the view what came of the call, once `request` knows as much of who calls."""
        for name in ("user", "auth", "throttle"):
            if hasattr(self, name):
                setattr(request, name, getattr(self, name))
        logs.refusal.set(self.why)
        raise self.refusal


def is_plain(environ) -> bool:
    """Whether it asks for all there is, as JSON."""
    return (
        environ["REQUEST_METHOD"] == "GET"
        and not environ.get("QUERY_STRING")
        and not any(name in environ for name in MORE)
        and environ.get("CONTENT_LENGTH", "") in NO_BODY
        and takes_json(environ.get("HTTP_ACCEPT", ""))
    )


@lru_cache
def takes_json(accept: str) -> bool:
    """Whether it says so without more ado."""
    return not accept or any(
        part.partition(";")[0].strip() in ANY_JSON for part in accept.split(",")
    )


def answer(call: Call) -> tuple[bytes, dict]:
    """The body, and its headers. Raises what the view would."""
    call.authenticate()
    throttle = CredentialThrottle()
    if not throttle.allow_request(call, view=None):
        raise Throttled(throttle.wait())
    found, headers = replica.read(call.auth.log_end, call.found)
    body = orjson.dumps(envelope(200, found))
    if "ETag" not in headers:
        headers["ETag"] = tag_of_content(body)
    throttle.tell(headers)
    return body, headers | {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body))}


def headers_of_every_answer() -> dict[str, str]:
    """What the middlewares that only add headers make of an answer without any."""

    def chain(request):
        return HttpResponse()

    for name in reversed(settings.ANSWER_MIDDLEWARE):
        chain = import_string(name)(chain)
    nothing = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "https", "wsgi.input": BytesIO()}
    response = chain(WSGIRequest(nothing))
    del response["Content-Type"]
    return dict(response.items())
