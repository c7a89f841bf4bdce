"""Fast answers to plain calls on mailboxes, without Django's middleware and views."""

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
from rest_framework.exceptions import NotFound, Throttled

from mailboxes.api import representation, writing
from mailboxes.api.authentication import CredentialAuthentication, authorize
from mailboxes.api.conditions import get_etag, hash_to_etag
from mailboxes.api.lists import CALLER_AND_LIST, LongList, fetch_list, render_list
from mailboxes.api.parsers import JSONObjectParser, accepts_json, is_json
from mailboxes.api.renderers import MEDIA_TYPE
from mailboxes.api.throttling import CredentialThrottle
from mailboxes.contract import MAILBOX_PATH, MAX_BODY_BYTES, envelope, status_message
from mailboxes.db import replica
from mailboxes.db.connections import PRIMARY, REPLICA
from mailboxes.http.machine_paths import lacks_https
from mailboxes.http.proxies import TrustedProxies
from mailboxes.models import Account, ApiCredential, Mailbox
from mailboxes.monitoring import logs
from mailboxes.monitoring.request_log import START_KEY, RequestLog

if settings.METRICS_NETWORKS:
    from mailboxes.monitoring.metrics import count_request

LIST_METHODS = ("GET", "POST")
MAILBOX_METHODS = ("GET", "PUT", "PATCH")

# A call with one of these keys is not plain: its body is encoded, it is conditional, has an
# idempotency key, or the server has refused it.
NOT_PLAIN = {
    "HTTP_CONTENT_ENCODING",
    "HTTP_IF_MATCH",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IDEMPOTENCY_KEY",
    "mailboxes.refused",
}

# The key in the environ under which a refused call reaches the view.
REFUSED_CALL = "mailboxes.refused_call"


class FastPath:
    """WSGI middleware that answers plain calls without Django's middleware and views.

    Those take longer than the work of such a call. A call is plain if it lists an account's
    mailboxes, or reads, creates or updates one, and has no condition, filter or idempotency key.
    It is answered here if it succeeds, or if the account has no such mailbox (404).

    The views handle everything else, including plain calls that are refused: nothing has been
    written, and the view raises the same exception, without counting the call again.

    Each rule is a function that the views use too; tests/api/test_fastpath.py compares the two.
    """

    def __init__(self, application):
        self.application = application
        self.headers = common_headers()

    def __call__(self, environ, start_response):
        start = time.perf_counter()
        call = plain_call(environ)
        if call is None:
            return self.application(environ, start_response)
        request_id = RequestLog.get_id(call)
        logs.refusal.set("")
        token = logs.request_id.set(request_id)
        try:
            status, body, headers = call.answer()
        except Exception as error:
            call.error, call.reason = error, logs.refusal.get()
            environ |= {REFUSED_CALL: call, START_KEY: start, "HTTP_X_REQUEST_ID": request_id}
            return self.application(environ, start_response)
        else:
            RequestLog.write_line(call, status, time.perf_counter() - start)
        finally:
            logs.request_id.reset(token)
        if settings.METRICS_NETWORKS:
            count_request(call.view, call.method, status, time.perf_counter() - start)
        headers |= self.headers | {"X-Request-ID": request_id}
        start_response(f"{status} {status_message(status)}", list(headers.items()))
        return body


class PlainCall(WSGIRequest):
    """A plain call and its answer.

    It has only the attributes that the rules need: building a full request takes longer.
    """

    auth: ApiCredential
    user: Account  # type: ignore[assignment]  # on calls of the API
    throttle: CredentialThrottle
    error: Exception
    reason: str  # of the refusal, for the log

    def __init__(self, environ, uuid):
        self.environ = self.META = environ.copy()  # a view may need the original
        TrustedProxies.set_caller_address(self.META)
        self.method, self.path, self.uuid = environ["REQUEST_METHOD"], environ["PATH_INFO"], uuid
        self.view = "mailbox-detail" if uuid else "mailbox-list"

    def answer(self) -> tuple[int, list[bytes] | LongList, dict]:
        """Return status, body and headers of a 200, 201 or 404. Other refusals are raised."""
        authentication = CredentialAuthentication(**self.combined_query())
        self.user, self.auth = authentication.authenticate(self)
        throttle = CredentialThrottle()
        if not throttle.allow_request(self, view=None):
            raise Throttled(throttle.wait())
        authorize(self)
        try:
            status, result, headers = self.fetch() if self.method == "GET" else self.save()
        except NotFound:
            status, result, headers = 404, None, {}
        throttle.add_headers(headers)
        headers["Content-Type"] = MEDIA_TYPE
        if isinstance(result, LongList):
            headers["ETag"] = result.get_etag(headers)
            return status, result, headers
        body = orjson.dumps(envelope(status, result))
        if status == 200 and "ETag" not in headers:
            headers["ETag"] = hash_to_etag(body, headers)
        headers["Content-Length"] = str(len(body))
        return status, [body], headers

    def combined_query(self) -> dict:
        """Return the prepared query that reads the credential and its mailboxes, and its values.

        Empty if one query is not enough: for a POST, for a customer, or for a GET with a replica.
        """
        if self.META.get("HTTP_X_AUTH_FOR") or self.method == "POST":
            return {}
        if self.method != "GET":
            return {"query": representation.CALLER_AND_TO_CHANGE, "uuid": self.uuid}
        if REPLICA in connections.settings:
            return {}
        if self.uuid:
            return {"query": representation.CALLER_AND_ONE, "uuid": self.uuid}
        return {"query": CALLER_AND_LIST}

    def fetch(self) -> tuple[int, orjson.Fragment | LongList, dict]:
        if self.auth.extra_columns:
            (text,) = self.auth.extra_columns
            self.auth.extra_columns = ()  # frees a long text early
            if self.uuid:
                return 200, *representation.render_one(text)
            return 200, *render_list(text, PRIMARY, self.user.pk)
        return 200, *replica.read_with_fallback(self.auth.wal_position, self.read_from)

    def read_from(self, using: str) -> tuple[orjson.Fragment | LongList, dict]:
        if self.uuid:
            return representation.fetch_one(using, self.user.pk, self.uuid)
        return fetch_list(using, self.user.pk)

    def save(self) -> tuple[int, dict, dict]:
        data = JSONObjectParser().parse(self.environ["wsgi.input"])
        if self.uuid:
            mailbox = self.fetch_mailbox()
            mailbox = writing.update_mailbox(mailbox, self.auth, data, self.method == "PATCH")
        else:
            mailbox = writing.create_mailbox(self.user, self.auth, data)
        headers = {"ETag": get_etag(mailbox)} | writing.pass_code_warning(data)
        return 200 if self.uuid else 201, representation.represent_saved(mailbox), headers

    def fetch_mailbox(self) -> Mailbox:
        if self.auth.extra_columns:
            return representation.mailbox_from_row(self.auth.extra_columns)
        return representation.fetch_to_change(self.user.pk, self.uuid)

    def raise_error(self, request) -> None:
        for name in ("user", "auth", "throttle"):
            if hasattr(self, name):
                setattr(request, name, getattr(self, name))
        logs.refusal.set(self.reason)
        raise self.error


def plain_call(environ) -> PlainCall | None:
    method, path = environ["REQUEST_METHOD"], MAILBOX_PATH.match(environ["PATH_INFO"])
    if not path or method not in (MAILBOX_METHODS if path["uuid"] else LIST_METHODS):
        return None
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if (
        environ.get("QUERY_STRING")
        or not NOT_PLAIN.isdisjoint(environ)
        or not accepts_json(environ.get("HTTP_ACCEPT", ""))
        or (length if method == "GET" else not has_json_body(environ, length))
    ):
        return None
    call = PlainCall(environ, path["uuid"])
    host = environ.get("HTTP_HOST", environ["SERVER_NAME"])
    return None if lacks_https(call) or not is_allowed(host) else call


@lru_cache
def is_allowed(host: str) -> bool:
    try:
        WSGIRequest(
            {"REQUEST_METHOD": "GET", "wsgi.input": BytesIO(), "HTTP_HOST": host}
        ).get_host()
    except DisallowedHost:
        return False
    return True


def has_json_body(environ, length: int) -> bool:
    return (
        0 < length <= MAX_BODY_BYTES
        and isinstance(environ["wsgi.input"], BytesIO)
        and is_json(environ.get("CONTENT_TYPE", ""))
    )


def common_headers() -> dict[str, str]:
    """Return the headers that ANSWER_MIDDLEWARE adds to every answer."""

    def chain(request):
        return HttpResponse()

    for name in reversed(settings.ANSWER_MIDDLEWARE):
        chain = import_string(name)(chain)
    environ = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "https", "wsgi.input": BytesIO()}
    response = chain(WSGIRequest(environ))
    del response["Content-Type"]
    return dict(response.items())
