"""One log line for each request."""

import logging
import re
import time
from http import HTTPStatus
from random import getrandbits

from django.utils.encoding import escape_uri_path

from mailboxes import contract
from mailboxes.monitoring import logs

log = logging.getLogger("mailboxes.request")

LINE_FORMAT = "%(method)s %(path)s %(status)s %(milliseconds).1fms from=%(from)s by=%(by)s"
INFO = {"levelno": logging.INFO, "levelname": "INFO"}
# The key, in a request's environ, of the time when its handling began.
START_KEY = "mailboxes.started"

SAFE_TEXT = re.compile(r"\A[A-Za-z0-9/_.-]*\Z")  # needs no escaping
REQUEST_ID = re.compile(r"\A[A-Za-z0-9._-]{8,64}\Z")


class RequestLog:
    """Middleware that logs each request, except health probes.

    Responses with `is_logged` False have no line either. The query string, headers and body may
    contain pass codes and secrets, so they are left out.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        start = request.META.get(START_KEY) or time.perf_counter()
        request_id = self.get_id(request)
        logs.refusal.set("")
        token = logs.request_id.set(request_id)
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        is_final = response.status_code != HTTPStatus.CONTINUE  # the body is still to come
        is_logged = getattr(response, "is_logged", True)
        if is_final and is_logged and not contract.is_health_path(request.path_info):
            self.write_line(request, response.status_code, time.perf_counter() - start)
        logs.request_id.reset(token)
        return response

    @staticmethod
    def get_id(request) -> str:
        """Return the client's X-Request-ID if it is valid, else a random id."""
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        return sent if REQUEST_ID.match(sent) else f"{getrandbits(128):032x}"  # not a secret

    @classmethod
    def write_line(cls, request, status: int, seconds: float) -> None:
        values = {
            "method": escape_for_log(request.method),
            "path": escape_for_log(request.path),
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "from": request.META["REMOTE_ADDR"] or "-",
            "by": cls.author(request),
        }
        if refusal := logs.refusal.get():
            values["why"] = refusal
        if log.isEnabledFor(logging.INFO):
            # log.info() is slower: it looks for the line of code that called it.
            line = {"msg": f"{LINE_FORMAT} why=%(why)s" if refusal else LINE_FORMAT, "args": values}
            log.handle(logging.makeLogRecord({"name": log.name, **INFO, **line}))

    @staticmethod
    def author(request) -> str:
        """Return the credential's prefix, with the account for API calls; or the staff user's id."""
        if credential := getattr(request, "auth", None):
            return (
                credential.prefix if credential.is_engine else f"{credential.prefix}@{request.user}"
            )
        # Only if the page has read it already: writing a line makes no query.
        user = getattr(request, "_cached_user", None)
        return f"staff-{user.pk}" if user and user.pk else "-"


def escape_for_log(text: str) -> str:
    return text if SAFE_TEXT.match(text) else escape_uri_path(text)
