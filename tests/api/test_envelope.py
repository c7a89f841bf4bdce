"""Every answer under the API's paths has the envelope, also one of middleware."""

import gzip
import json
import logging
from contextlib import closing

import pytest
from django import urls
from django.db import OperationalError
from django.http import HttpResponse

from mailboxes.contract import status_message
from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.security.addresses import build_addresses
from tests.security.conftest import rosa, rows  # noqa: F401
from tests.service import InProcess, OverSocket

API_PATHS = ["/voip", "/voip/", "/voip/unknown", "/authenticated/x", "/voip/mailbox/x/y/z"]


def assert_envelope(answer, status, errors=False):
    """Assert the contract's keys in their order, and that no internals are revealed."""
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    body = json.loads(answer.body)
    assert list(body) == ["result", "status_code", "status_message", *["errors"][: int(errors)]]
    assert body | {"errors": None} == {
        "result": {},
        "status_code": status,
        "status_message": status_message(status),
        "errors": None,
    }
    for leak in (b"Traceback", b"SELECT", b"DJANGO", b"<html"):
        assert leak not in answer.body


@pytest.mark.parametrize("unknown", API_PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_unknown_path_is_404_with_and_without_credential(service, method, unknown):
    assert_envelope(service.call(method, unknown), 404)
    assert_envelope(InProcess().call(method, unknown), 404)


UNKNOWN = [
    "/voipx",
    "/authenticatedx",
    "/x/voip/mailbox",
    "/calls/outbound",
    "/VOIP/mailbox",
    "/x/",
]


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("accept", [None, "*/*", "text/html, application/json;q=0.9, */*;q=0.8"])
def test_unknown_path_is_an_html_404_for_a_browser(db, path, accept):
    answer = InProcess().get(path, headers={"Accept": accept})
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("text/html")


OF_PROGRAMS = [
    {"X-Auth-User": "api"},
    {"X-Auth-For": ""},
    {"Authorization": "Bearer x"},
    {"authorization": "bearer x", "Accept": "text/html"},
    {"Accept": "application/json"},
    {"Accept": "application/json, text/plain, */*"},
    {"Accept": "application/problem+json"},
    {"Accept": "application/*"},
]


@pytest.mark.parametrize("path", [*UNKNOWN, "//voip/mailbox", "/static/none.css"])
@pytest.mark.parametrize("headers", OF_PROGRAMS)
def test_unknown_path_is_404_in_the_envelope_for_a_program(db, path, headers):
    assert_envelope(InProcess().get(path, headers=headers), 404)
    assert_envelope(InProcess().post(path, {}, headers=headers), 404)


def test_unknown_path_of_a_program_is_404_over_the_wire(wire):
    assert_envelope(wire.get("/calls/outbound"), 404)
    assert wire.call("HEAD", "/calls/outbound").status == 404


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["//voip/mailbox", "///voip/mailbox", "//authenticated"])
def test_path_with_more_slashes_is_404_in_the_envelope(server, account, path):
    """Django's test client would take the first part of such a path for a host."""
    for headers in (headers_for(account), {}):
        with closing(OverSocket(headers, port=server.port)) as service:
            assert_envelope(service.get(path), 404)


@pytest.mark.parametrize("headers", OF_PROGRAMS)
@pytest.mark.parametrize("path", ["/", "/accounts/", "/admin/", "/admin/login/", "/import/"])
def test_page_for_staff_is_401_in_the_envelope_for_a_program(db, path, headers):
    answer = InProcess().get(path, headers=headers)
    assert_envelope(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "location" not in answer.headers
    assert InProcess().call("HEAD", path, headers=headers).status == 401


def test_page_for_staff_is_401_for_a_program_over_the_wire(wire):
    assert_envelope(wire.get("/accounts/"), 401)


def test_every_page_that_sends_browsers_to_sign_in_is_401_for_a_program(rows):  # noqa: F811
    browser, program = InProcess(), InProcess({"X-Auth-User": "api"})
    pages = [
        path
        for path in build_addresses(rows)
        if browser.get(path).headers.get("location", "").startswith(("/sign-in/", "/admin/login/"))
    ]
    assert len(pages) > 60
    for path in pages:
        assert_envelope(program.get(path), 401)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "*/*"},
        {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
        {"Accept": "*/*", "HX-Request": "true", "HX-Current-URL": "http://testserver/"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/admin/"])
def test_page_for_staff_sends_a_browser_to_sign_in(db, path, headers):
    answer = InProcess().get(path, headers=headers)
    assert answer.status == 302
    assert answer.headers["location"].endswith(f"?next={path}")


def test_public_page_is_sent_to_a_program(db):
    for path in ("/sign-in/", "/docs/", "/healthz"):
        assert InProcess().get(path, headers={"Authorization": "Bearer x"}).status == 200


def test_program_that_calls_a_page_is_refused_in_the_envelope(service):
    assert_envelope(service.post("/sign-in/", {"username": "x"}), 403)


@pytest.mark.parametrize("accept", ["é, application/json", "application/json;" + "x" * 20_000])
def test_malformed_accept_header_of_an_unknown_path_causes_no_crash(db, accept):
    assert_envelope(InProcess().get("/calls/outbound", headers={"Accept": accept}), 404)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/authenticated", "GET, HEAD"),
        ("/voip/mailbox", "GET, HEAD, POST"),
        ("/voip/mailbox/31347d42-00bd-44a5-9b5c-20dc4197a2f6", "GET, HEAD, PUT, PATCH, DELETE"),
    ],
)
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "post-it"])
def test_wrong_method_is_405_with_and_without_credential(service, path, allowed, method):
    for caller in (service, InProcess()):
        answer = caller.call(method, path)
        assert_envelope(answer, 405)
        assert answer.headers["allow"] == allowed


def test_missing_credential_is_401(wire):
    no_credential = dict.fromkeys(wire.headers)
    assert_envelope(wire.get("/voip/mailbox", headers=no_credential), 401)


def test_accept_header_without_json_is_406(wire):
    assert_envelope(wire.get("/voip/mailbox", headers={"Accept": "text/html"}), 406, errors=True)


@pytest.mark.parametrize(
    "accept",
    ["*/*", "application/*", "text/html, */*;q=0.1", "", ",", "application/json; indent=4"],
)
def test_accept_header_that_includes_json_is_served(service, accept):
    answer = service.get("/voip/mailbox", headers={"Accept": accept})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("accept", ["/", ";;;", "a/b/c", "application", "é", "q=1"])
def test_malformed_accept_header_causes_no_crash(service, accept):
    assert service.get("/voip/mailbox", headers={"Accept": accept}).status in (200, 406)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "x",
        ";",
        "*/*",
        "application/*",
        "application/json-patch+json",
    ],
)
def test_other_content_type_is_415(service, content_type):
    answer = service.post("/voip/mailbox", '{"name": "x"}', headers={"Content-Type": content_type})
    assert_envelope(answer, 415, errors=True)
    assert not Mailbox.objects.exists()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "x", ""])
def test_encoded_body_is_415_and_names_the_encoding_to_use(wire, method, encoding):
    path = "/voip/mailbox"
    if method != "POST":
        path += f"/{wire.post(path, {'name': 'Sales'}).result['uuid']}"
    for body in (gzip.compress(b'{"name": "x"}'), b'{"name": "x"}'):
        headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
        answer = wire.call(method, path, body, headers)
        assert_envelope(answer, 415, errors=True)
        assert answer.headers["accept-encoding"] == "identity"
        assert answer.errors["non_field_errors"][0]["code"] == "unsupported_encoding"
    assert not Mailbox.objects.filter(name="x").exists()


def test_body_with_the_encoding_identity_is_accepted(wire):
    headers = {"Content-Encoding": "Identity"}
    assert wire.post("/voip/mailbox", {"name": "x"}, headers=headers).status == 201


@pytest.mark.parametrize(
    "body", ["{", "nonsense", '{"name": "x"} {}', "{'name': 'x'}", '{"name": "x",}', "\ufeff{}"]
)
def test_malformed_json_is_400(service, body):
    assert_envelope(service.post("/voip/mailbox", body), 400, errors=True)


def test_wrong_host_is_400(wire):
    assert_envelope(wire.get("/voip/mailbox", headers={"Host": "evil.example"}), 400)
    assert_envelope(wire.get("/voip/unknown", headers={"Host": "evil.example"}), 400)


@pytest.mark.parametrize("debug", [False, True])
def test_crash_is_500_and_is_logged(service, monkeypatch, settings, caplog, debug):
    settings.DEBUG = debug

    def crash(*args, **kwargs):
        raise RuntimeError("out of order")

    monkeypatch.setattr("mailboxes.api.representation.decrypt_in_place", crash)
    with caplog.at_level(logging.ERROR):
        assert_envelope(service.get("/voip/mailbox"), 500)
    assert "out of order" in caplog.text


def test_unknown_path_with_debug_on_is_404(service, settings):
    settings.DEBUG = True
    assert_envelope(service.get("/voip/unknown"), 404)


def test_unavailable_database_is_503_with_retry_after(service, monkeypatch):
    def fail(*args, **kwargs):
        raise OperationalError("server closed the connection unexpectedly: password=hunter2")

    monkeypatch.setattr("mailboxes.models.credentials.ApiCredentialManager.authenticate", fail)
    answer = service.get("/voip/mailbox")
    assert_envelope(answer, 503, errors=True)
    assert answer.headers["retry-after"] == "5"
    assert b"hunter2" not in answer.body


def test_call_without_https_is_403_and_not_redirected(service, settings):
    settings.HTTPS = settings.SECURE_SSL_REDIRECT = True
    assert_envelope(service.get("/voip/mailbox"), 403)
    assert_envelope(service.post("/voip/mailbox", {"name": "x"}), 403)
    assert not Mailbox.objects.exists()


def test_html_error_is_replaced_by_the_envelope(service, settings):
    settings.ROOT_URLCONF = (
        urls.path(
            "voip/<int:status>", lambda request, status: HttpResponse("<html>", status=status)
        ),
    )
    for status in (400, 403, 404, 409, 412, 413, 422, 428, 429, 500, 503):
        assert_envelope(service.get(f"/voip/{status}"), status)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (413, "Content Too Large"),
        (422, "Unprocessable Content"),
        (429, "Too Many Requests"),
        (428, "Precondition Required"),
    ],
)
def test_status_message_is_the_rfc_9110_phrase_in_every_python(status, message):
    assert status_message(status) == message
