"""What stands between the server and the views: who calls, one log line, page policy, second factor."""

import logging
import re
import time
import uuid
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.encoding import escape_uri_path

from mailboxes import contract, logs, second_factor

log = logging.getLogger("mailboxes.request")

LINE = "%(method)s %(path)s %(status)s %(milliseconds).1fms from=%(from)s by=%(by)s"
REQUEST_ID = re.compile(r"\A[A-Za-z0-9._-]{8,64}\Z")


class TrustedProxies:
    """Makes REMOTE_ADDR the caller's address, and drops what an untrusted peer says of itself.

    The one place where X-Forwarded-For is read: from the right, past the proxies
    named in TRUSTED_PROXIES, to the first address that is none of them.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        forwarded = request.META.pop("HTTP_X_FORWARDED_FOR", "")
        hops = forwarded.split(",") if forwarded else []
        peer = self.address(request.META.get("REMOTE_ADDR", ""))
        if not self.is_proxy(peer):
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
        while hops and self.is_proxy(peer):
            peer = self.address(hops.pop().strip())  # None: then nobody knows who calls
        request.META["REMOTE_ADDR"] = str(peer or "")
        return self.get_response(request)

    @staticmethod
    def address(text):
        """The IP address, IPv4 even where it is written inside an IPv6 one; None if it is none."""
        try:
            address = ip_address(text)
        except ValueError:
            return None
        return getattr(address, "ipv4_mapped", None) or address

    @staticmethod
    def is_proxy(address) -> bool:
        return any(address in network for network in settings.TRUSTED_PROXIES if address)


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
        start = time.perf_counter()
        given = request.headers.get("X-Request-ID", "")
        request_id = given if REQUEST_ID.match(given) else uuid.uuid4().hex
        logs.refusal.set("")
        token = logs.request_id.set(request_id)
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        if not contract.is_health_path(request.path_info):
            told = self.told(request, response, time.perf_counter() - start)
            log.info(f"{LINE} why=%(why)s" if "why" in told else LINE, told)
        logs.request_id.reset(token)
        return response

    def told(self, request, response, seconds) -> dict:
        """What LINE is made of. With LOG_FORMAT=json each has its own place in the line as well."""
        return {
            "method": escape_uri_path(request.method),
            "path": escape_uri_path(request.path),
            "status": response.status_code,
            "milliseconds": round(seconds * 1000, 1),
            "from": request.META["REMOTE_ADDR"] or "-",
            "by": self.author(request),
        } | ({"why": why} if (why := logs.refusal.get()) else {})

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
