import logging

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from mailboxes.http.proxies import TrustedProxies
from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.service import InProcess, shows


def seen(settings, peer, proxies="", **headers):
    """The caller's address and whether it is said to come by https, past the middleware."""
    from ipaddress import ip_network

    settings.TRUSTED_PROXIES = [ip_network(proxy) for proxy in proxies.split()]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)
    TrustedProxies(lambda request: HttpResponse())(request)
    return request.META["REMOTE_ADDR"], request.is_secure()


def forwarded(addresses):
    return {"X-Forwarded-For": addresses, "X-Forwarded-Proto": "https"}


def test_an_untrusted_peer_is_the_caller_whatever_it_says(settings):
    assert seen(settings, "203.0.113.9", **forwarded("192.0.2.1")) == ("203.0.113.9", False)


@pytest.mark.parametrize(
    ("said", "caller"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("198.51.100.1, 192.0.2.1", "192.0.2.1"),  # the left one is the caller's own word
        ("192.0.2.1, 10.0.0.7", "192.0.2.1"),  # past our second proxy
        ("nonsense, 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, nonsense", ""),  # nobody knows who calls, so no credential's network matches
        ("192.0.2.1:8080", ""),
        ("192.0.2.1,", ""),
        ("", "10.0.0.1"),
        ("10.0.0.9", "10.0.0.9"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_a_trusted_proxy_is_believed_up_to_the_first_address_that_is_none(settings, said, caller):
    assert seen(settings, "10.0.0.1", "10.0.0.0/8", **forwarded(said)) == (caller, True)


def test_an_ipv4_caller_inside_an_ipv6_address_is_ipv4(settings):
    assert seen(settings, "::ffff:203.0.113.9") == ("203.0.113.9", False)


def test_a_forged_address_opens_no_credential(account, settings):
    service = InProcess(headers_for(account, networks="192.0.2.1"))
    forged = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Real-IP": "192.0.2.1",
        "Forwarded": "for=192.0.2.1",
    }
    assert service.get("/authenticated", headers=forged).status == 403


def test_one_line_a_request_with_no_secret_in_it(account, caplog):
    headers = headers_for(account)
    with caplog.at_level(logging.DEBUG):
        body = {"name": "Sales", "password": "4829"}
        InProcess(headers).post("/voip/mailbox?password=4829", body)
    lines = [
        record.getMessage() for record in caplog.records if record.name.startswith("mailboxes")
    ]
    assert len(lines) == 1
    assert lines[0].startswith("POST /voip/mailbox 201 ")
    assert f"by={headers['X-Auth-Password'][:10]}@acme" in lines[0]
    assert not shows(caplog.text, "4829")
    assert headers["X-Auth-Password"] not in caplog.text


def test_the_line_tells_the_whole_address(db, caplog):
    """Of IPv6 too, of which wrong passwords are counted by the network."""
    Client(REMOTE_ADDR="2001:db8::9").get("/sign-in/")
    assert "from=2001:db8::9 " in caplog.text


def test_a_path_cannot_forge_a_line(service, caplog):
    with caplog.at_level(logging.INFO):
        service.get("/voip/x%0A2026-01-01 INFO forged")
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_each_answer_has_a_request_id(service):
    assert len(service.get("/voip/mailbox").headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-123_X.y", True), ("short", False), ("x" * 65, False), ("a b c d e f", False)],
)
def test_the_callers_own_id_is_kept_if_it_is_a_plain_one(service, given, kept):
    answer = service.get("/voip/mailbox", headers={"X-Request-ID": given})
    assert (answer.headers["x-request-id"] == given) is kept


def test_every_page_has_the_policy_and_the_usual_headers(db):
    headers = InProcess().get("/sign-in/").headers
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_with_https_on_pages_are_redirected_and_the_api_is_not(service, settings):
    settings.HTTPS = settings.SECURE_SSL_REDIRECT = True
    page = service.get("/sign-in/")
    assert (page.status, page.headers["location"]) == (301, "https://localhost/sign-in/")
    assert service.post("/voip/mailbox", {"name": "x"}).status == 403
    assert service.get("/healthz").status == 200
    assert not Mailbox.objects.exists()
