"""The plainest calls, answered before Django makes a request of them: that costs more than all they do.

Who may call, how often, what is read or written and how it is shown is asked of the same code as
in the view. What is refused, nothing having been written, is left to the view, with the reason.
"""

import time
from functools import lru_cache
from io import BytesIO

import orjson
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.db import connections
from django.http import HttpResponse
from django.http.request import split_domain_port, validate_host
from django.utils.module_loading import import_string
from rest_framework.exceptions import Throttled

from mailboxes import logs, replica
from mailboxes.api import reading, writing
from mailboxes.api.authentication import CredentialAuthentication
from mailboxes.api.conditions import entity_tag, tag_of_content
from mailboxes.api.parsers import JSONObjectParser, is_json
from mailboxes.api.renderers import MEDIA_TYPE
from mailboxes.api.throttling import CredentialThrottle
from mailboxes.contract import MAILBOX_PATH, MAX_BODY_BYTES, envelope, status_message
from mailboxes.middleware import STARTED, RequestLog, TrustedProxies
from mailboxes.models import Account, ApiCredential, Mailbox

if settings.METRICS_NETWORKS:
    from mailboxes.metrics import count

METHODS = ("GET", "POST")
METHODS_OF_ONE = ("GET", "PUT", "PATCH")

# Who sends these asks for something else, or may: only where it has changed, or only once.
MORE = {"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IDEMPOTENCY_KEY"}
ANY_JSON = {MEDIA_TYPE, "application/*", "*/*"}

# In the environment: the call, for the view, if it has been refused.
REFUSED = "mailboxes.refused"


class DirectCalls:
    """WSGI middleware: reads a mailbox or all, makes or changes one, where there is nothing to refuse."""

    def __init__(self, application):
        self.application = application
        self.headers = headers_of_every_answer()

    def __call__(self, environ, start_response):
        call = plain_call(environ)
        if call is None or not call.is_for_us():
            return self.application(environ, start_response)
        start = environ.setdefault(STARTED, time.perf_counter())
        request_id = environ["HTTP_X_REQUEST_ID"] = RequestLog.id_of(call)
        logs.refusal.set("")
        token = logs.request_id.set(request_id)
        try:
            status, body, headers = answer(call)
        except Exception as refusal:
            call.refusal, call.why, environ[REFUSED] = refusal, logs.refusal.get(), call
            return self.application(environ, start_response)
        else:
            RequestLog.tell(call, status, time.perf_counter() - start)
        finally:
            logs.request_id.reset(token)
        if settings.METRICS_NETWORKS:
            count(call.view, call.method, status, time.perf_counter() - start)
        headers |= self.headers
        headers["X-Request-ID"] = request_id
        start_response(f"{status} {status_message(status)}", list(headers.items()))
        return [body]


class Call(WSGIRequest):
    """As much of a request as it takes to say who calls, for what, and whether it is for us."""

    auth: ApiCredential
    user: Account  # type: ignore[assignment]  # on calls of the API
    throttle: CredentialThrottle
    refusal: Exception
    why: str

    def __init__(self, environ, uuid):
        TrustedProxies.settle(environ)
        self.environ = self.META = environ
        self.method, self.path, self.uuid = environ["REQUEST_METHOD"], environ["PATH_INFO"], uuid
        self.view = "mailbox-detail" if uuid else "mailbox-list"

    def is_for_us(self) -> bool:
        """Whether it came as it must, and to a host of ours."""
        is_host = is_host_of(tuple(settings.ALLOWED_HOSTS), self._get_raw_host())  # type: ignore[attr-defined]
        return is_host and (not settings.HTTPS or self.is_secure())

    def authenticate(self) -> None:
        authentication = CredentialAuthentication(**self.extra_columns())
        self.user, self.auth = authentication.authenticate(self)

    def extra_columns(self) -> dict:
        """Return the statement that finds the credential with what the call is about, and its values.

        Empty if the two are found in two queries: for a customer's, or on the replica.
        """
        if self.META.get("HTTP_X_AUTH_FOR") or self.method == "POST":
            return {}
        if self.method != "GET":
            return {"statement": reading.CALLER_AND_ONE_TO_CHANGE, "uuid": self.uuid}
        if replica.REPLICA in connections.settings:
            return {}
        if self.uuid:
            return {"statement": reading.CALLER_AND_ONE, "uuid": self.uuid}
        return {"statement": reading.CALLER_AND_ALL}

    def mailbox(self) -> Mailbox:
        """Return the mailbox that the call is to change. Raises NotFound."""
        if self.auth.extra:
            return reading.mailbox_of(self.auth.extra)
        return reading.to_change(self.user.pk, self.uuid)

    def found(self, using: str) -> tuple:
        """What is asked for, and its headers. Raises NotFound."""
        if self.auth.extra:
            (text,), self.auth.extra = self.auth.extra, ()  # a long one is not kept till the end
            return reading.one_in(text) if self.uuid else reading.all_in(text)
        if self.uuid:
            return reading.one_of(using, self.user.pk, self.uuid)
        return reading.all_of(using, self.user.pk)

    def sent(self) -> dict:
        """The object in its body. Raises ParseError."""
        return JSONObjectParser().parse(BytesIO(self.META["wsgi.input"].getvalue()))

    def refuse(self, request) -> None:
        """Raise in the view what came of the call, once `request` knows as much of who calls."""
        for name in ("user", "auth", "throttle"):
            if hasattr(self, name):
                setattr(request, name, getattr(self, name))
        logs.refusal.set(self.why)
        raise self.refusal


def plain_call(environ) -> Call | None:
    """What it asks for, if that is all there is or to write an object, as JSON."""
    method, found = environ["REQUEST_METHOD"], MAILBOX_PATH.match(environ["PATH_INFO"])
    if not found or method not in (METHODS_OF_ONE if found["uuid"] else METHODS):
        return None
    length = int(environ.get("CONTENT_LENGTH") or 0)
    is_plain = (
        not environ.get("QUERY_STRING")
        and MORE.isdisjoint(environ)
        and (not length if method == "GET" else brings_json(environ, length))
        and takes_json(environ.get("HTTP_ACCEPT", ""))
    )
    return Call(environ.copy(), found["uuid"]) if is_plain else None


def brings_json(environ, length: int) -> bool:
    """Whether its body is there as a whole, is none too large, and says that it is JSON."""
    return (
        0 < length <= MAX_BODY_BYTES
        and isinstance(environ["wsgi.input"], BytesIO)
        and is_json(environ.get("CONTENT_TYPE", ""))
    )


@lru_cache
def is_host_of(names: tuple[str, ...], host: str) -> bool:
    """Whether it is one of these names."""
    domain, _port = split_domain_port(host)
    return bool(domain) and validate_host(domain, names)


@lru_cache
def takes_json(accept: str) -> bool:
    """Whether it says so without more ado."""
    return not accept or any(
        part.partition(";")[0].strip() in ANY_JSON for part in accept.split(",")
    )


def answer(call: Call) -> tuple[int, bytes, dict]:
    """The status, the body and its headers. Raises what the view would."""
    call.authenticate()
    throttle = CredentialThrottle()
    if not throttle.allow_request(call, view=None):
        raise Throttled(throttle.wait())
    status, result, headers = (read if call.method == "GET" else write)(call)
    body = orjson.dumps(envelope(status, result))
    if "ETag" not in headers:
        headers["ETag"] = tag_of_content(body)
    throttle.tell(headers)
    return status, body, headers | {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body))}


def read(call: Call) -> tuple[int, orjson.Fragment, dict]:
    return 200, *replica.read(call.auth.log_end, call.found)


def write(call: Call) -> tuple[int, dict, dict]:
    sent = call.sent()
    if call.uuid:
        mailbox = writing.updated(call.mailbox(), call.auth, sent, call.method == "PATCH")
    else:
        mailbox = writing.created(call.user, call.auth, sent)
    headers = {"ETag": entity_tag(mailbox)} | writing.warning(sent)
    return 200 if call.uuid else 201, reading.shown_after(mailbox), headers


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
