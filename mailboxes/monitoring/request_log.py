"""One log line for each request."""

import logging
import re
import time
from random import getrandbits

from django.utils.encoding import escape_uri_path

from mailboxes import contract
from mailboxes.monitoring import logs

log = logging.getLogger("mailboxes.request")

LINE_FORMAT = "%(method)s %(path)s %(status)s %(milliseconds).1fms from=%(from)s by=%(by)s"
INFO = {"levelno": logging.INFO, "levelname": "INFO"}
# In the environment of a request that something has had in hand already: since when.
START_KEY = "mailboxes.started"

SAFE_TEXT = re.compile(r"\A[A-Za-z0-9/_.-]*\Z")  # nothing in it is escaped
REQUEST_ID = re.compile(r"\A[A-Za-z0-9._-]{8,64}\Z")


class RequestLog:
    """One line a request but those for health, without query, headers or body: pass codes and secrets travel there."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        start = request.META.get(START_KEY) or time.perf_counter()
        request_id = self.id_of(request)
        logs.refusal.set("")
        token = logs.request_id.set(request_id)
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        if not contract.is_health_path(request.path_info):
            self.tell(request, response.status_code, time.perf_counter() - start)
        logs.request_id.reset(token)
        return response

    @staticmethod
    def id_of(request) -> str:
        """The caller's own word for it, if it is a plain one."""
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        return given if REQUEST_ID.match(given) else f"{getrandbits(128):032x}"  # no secret

    @classmethod
    def tell(cls, request, status: int, seconds: float) -> None:
        """Write the line. With LOG_FORMAT=json each part has its own place in it as well."""
        told = {
            "method": escape_for_log(request.method),
            "path": escape_for_log(request.path),
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "from": request.META["REMOTE_ADDR"] or "-",
            "by": cls.author(request),
        }
        if why := logs.refusal.get():
            told["why"] = why
        if log.isEnabledFor(logging.INFO):
            # Not by log.info(), which looks for the line of code that called it, and costs more.
            line = {"msg": f"{LINE_FORMAT} why=%(why)s" if why else LINE_FORMAT, "args": told}
            log.handle(logging.makeLogRecord({"name": log.name, **INFO, **line}))

    @staticmethod
    def author(request) -> str:
        """On calls the credential's prefix, with the account acted on for the API; on pages the staff user's number."""
        if credential := getattr(request, "auth", None):
            return (
                credential.prefix if credential.is_engine else f"{credential.prefix}@{request.user}"
            )
        # Only where the page has looked it up: this line asks no database.
        user = getattr(request, "_cached_user", None)
        return f"staff-{user.pk}" if user and user.pk else "-"


def escape_for_log(text: str) -> str:
    """What a caller sent, such that it begins no line of the log."""
    return text if SAFE_TEXT.match(text) else escape_uri_path(text)
