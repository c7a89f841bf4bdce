"""The caller's address behind trusted proxies, and X-Forwarded-* headers of others."""

from ipaddress import ip_network

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from mailboxes.http.proxies import TrustedProxies
from tests.conftest import headers_for
from tests.service import InProcess


def apply_middleware(settings, peer, proxies="", **headers):
    """Return the request's address and is_secure() after the middleware."""
    settings.TRUSTED_PROXIES = [ip_network(proxy) for proxy in proxies.split()]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)
    TrustedProxies(lambda request: HttpResponse())(request)
    return request.META["REMOTE_ADDR"], request.is_secure()


def forwarded(addresses):
    return {"X-Forwarded-For": addresses, "X-Forwarded-Proto": "https"}


def test_headers_of_an_untrusted_peer_are_ignored(settings):
    result = apply_middleware(settings, "203.0.113.9", **forwarded("192.0.2.1"))
    assert result == ("203.0.113.9", False)


@pytest.mark.parametrize(
    ("addresses", "caller"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("198.51.100.1, 192.0.2.1", "192.0.2.1"),  # the caller itself sent the left one
        ("192.0.2.1, 10.0.0.7", "192.0.2.1"),  # past our second proxy
        ("nonsense, 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, nonsense", ""),  # unknown, so the networks of no credential match
        ("192.0.2.1:8080", ""),
        ("192.0.2.1,", ""),
        ("", "10.0.0.1"),
        ("10.0.0.9", "10.0.0.9"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_caller_is_the_last_address_that_is_no_trusted_proxy(settings, addresses, caller):
    result = apply_middleware(settings, "10.0.0.1", "10.0.0.0/8", **forwarded(addresses))
    assert result == (caller, True)


def test_ipv4_mapped_ipv6_address_becomes_ipv4(settings):
    assert apply_middleware(settings, "::ffff:203.0.113.9") == ("203.0.113.9", False)


def test_forged_address_is_outside_the_credentials_networks(account, settings):
    service = InProcess(headers_for(account, networks="192.0.2.1"))
    forged = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Real-IP": "192.0.2.1",
        "Forwarded": "for=192.0.2.1",
    }
    assert service.get("/authenticated", headers=forged).status == 403
