"""What stands between the server and the views: who calls, one log line, page policy, second factor."""

import logging
import re
import time
from functools import lru_cache
from ipaddress import ip_address, ip_network
from random import getrandbits

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import JsonResponse
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.encoding import escape_uri_path

from mailboxes import contract, logs, second_factor
from mailboxes.bodies import REFUSAL

log = logging.getLogger("mailboxes.request")

LINE = "%(method)s %(path)s %(status)s %(milliseconds).1fms from=%(from)s by=%(by)s"
INFO = {"levelno": logging.INFO, "levelname": "INFO"}
# In the environment of a request that something has had in hand already: since when.
STARTED = "mailboxes.started"

PLAIN = re.compile(r"\A[A-Za-z0-9/_.-]*\Z")  # nothing in it is escaped
REQUEST_ID = re.compile(r"\A[A-Za-z0-9._-]{8,64}\Z")


class TrustedProxies:
    """Makes REMOTE_ADDR the caller's address, and drops what an untrusted peer says of itself.

    The one place where X-Forwarded-For is read: from the right, past the proxies
    named in TRUSTED_PROXIES, to the first address that is none of them.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        self.settle(request.META)
        return self.get_response(request)

    @classmethod
    def settle(cls, meta) -> None:
        """Do so in what the server says of a request."""
        forwarded = meta.pop("HTTP_X_FORWARDED_FOR", "")
        hops = forwarded.split(",") if forwarded else []
        peer = cls.address(meta.get("REMOTE_ADDR", ""))
        if not cls.is_proxy(peer):
            meta.pop("HTTP_X_FORWARDED_PROTO", None)
        while hops and cls.is_proxy(peer):
            peer = cls.address(hops.pop().strip())  # None: then nobody knows who calls
        meta["REMOTE_ADDR"] = cls.written(peer)

    @staticmethod
    @lru_cache(maxsize=1024)  # reading one takes longer than looking it up
    def address(text):
        """The IP address, IPv4 even where it is written inside an IPv6 one; None if it is none."""
        try:
            address = ip_address(text)
        except ValueError:
            return None
        return getattr(address, "ipv4_mapped", None) or address

    @staticmethod
    @lru_cache(maxsize=1024)
    def written(address) -> str:
        return str(address or "")

    @staticmethod
    def is_proxy(address) -> bool:
        proxies = settings.TRUSTED_PROXIES
        return bool(proxies and address) and any(address in network for network in proxies)


def caller(request) -> str | None:
    """The address that wrong passwords are counted for; None where nobody knows who calls.

    By IPv6 it is the network of 64 bits: whoever has one address there has all of them.
    """
    address = TrustedProxies.address(request.META.get("REMOTE_ADDR", ""))
    if address and address.version == 6:
        address = ip_network((int(address), 64), strict=False).network_address
    return str(address) if address else None


class RequestLog:
    """One line a request but those for health, without query, headers or body: pass codes and secrets travel there."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        start = request.META.get(STARTED) or time.perf_counter()
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
            "method": in_line(request.method),
            "path": in_line(request.path),
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "from": request.META["REMOTE_ADDR"] or "-",
            "by": cls.author(request),
        }
        if why := logs.refusal.get():
            told["why"] = why
        if log.isEnabledFor(logging.INFO):
            # Not by log.info(), which looks for the line of code that called it, and costs more.
            line = {"msg": f"{LINE} why=%(why)s" if why else LINE, "args": told}
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


def in_line(text: str) -> str:
    """What a caller sent, such that it begins no line of the log."""
    return text if PLAIN.match(text) else escape_uri_path(text)


class Refusals:
    """Answer a request that the server refused: ambiguous, late or too large. In the envelope."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if REFUSAL not in request.META:
            return self.get_response(request)
        status, message = request.META[REFUSAL]
        logs.refusal.set("malformed")
        errors = {"non_field_errors": [{"code": "invalid", "message": message}]}
        # The rest of the request must not be taken for the next one.
        headers = {"Connection": "close"}
        if status == 503:
            headers["Retry-After"] = str(contract.RETRY_SECONDS)
        return JsonResponse(
            contract.envelope(status, errors=errors), status=status, headers=headers
        )


class AnswerHeaders:
    """Sends the headers of the ANSWER_HEADERS setting, for which Django has none of its own.

    A cache on the way knows no X-Auth-Password, and may keep what says nothing of caching.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        for name, value in settings.ANSWER_HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class ContentSecurityPolicy:
    """Sends the policy of the SECURE_CSP setting, as Django 6 does by itself."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.policy = "; ".join(
            f"{directive} {' '.join(sources)}" for directive, sources in settings.SECURE_CSP.items()
        )

    def __call__(self, request):
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.policy)
        return response


class SecondFactor:
    """Shows no page to whoever has signed in with the password alone, and has a second factor too."""

    doors = ["console:sign-in", "console:sign-in-code", "console:sign-out"]

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if not second_factor.is_owed(request.user):
            return self.get_response(request)
        if request.path in map(reverse, self.doors):
            return self.get_response(request)
        home = resolve_url(settings.LOGIN_REDIRECT_URL)
        asked = request.get_full_path() if request.method == "GET" else home
        return redirect_to_login(asked, reverse("console:sign-in-code"))
