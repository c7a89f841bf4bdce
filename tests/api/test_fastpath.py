"""The fast path answers like the view, which gets calls with an unknown parameter."""

import json
import logging
import time
from contextlib import closing
from uuid import UUID

import pytest
from django.db import OperationalError, connection

from mailboxes.api import representation
from mailboxes.api.fastpath import PlainCall, plain_call
from mailboxes.models import Mailbox

PETE = UUID("5f9b7c1e-2e0f-4c57-8d2a-0c1f4b6a9d3e")
# The first two differ in each call, and only the view sends Allow.
IGNORED = {"x-request-id", "ratelimit", "allow"}


@pytest.fixture
def paths(account):
    mailbox = Mailbox.objects.create(uuid=PETE, account=account, name="Pete", password="4711")
    mailbox.add_recipient("pete@acme.example")
    return ["/voip/mailbox", f"/voip/mailbox/{PETE}", f"/voip/mailbox/{str(PETE).upper()}/"]


@pytest.fixture
def fast_paths(monkeypatch):
    """The paths of the calls that the fast path has answered."""
    paths = []
    original = PlainCall.answer

    def answer(call):
        result = original(call)
        paths.append(call.path)
        return result

    monkeypatch.setattr(PlainCall, "answer", answer)
    return paths


def call_both(service, path, method="GET", body=None, **kwargs):
    """Yield the answers of the fast path and the view, without the headers that differ."""
    for address in (path, f"{path}?stray=1"):
        answer = service.call(method, address, body, **kwargs)
        headers = {name: text for name, text in answer.headers.items() if name not in IGNORED}
        yield answer.status, answer.body, headers


def test_answer_to_get_is_the_same_as_the_views(service, paths, fast_paths):
    for path in paths:
        by_fast_path, by_view = call_both(service, path)
        assert by_fast_path == by_view
    assert fast_paths == paths


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json, text/plain, */*", "text/html,*/*;q=0.8"]
)
def test_accept_header_with_json_is_answered_by_the_fast_path(service, paths, fast_paths, accept):
    assert service.get(paths[0], headers={"Accept": accept}).status == 200
    assert fast_paths == paths[:1]


@pytest.mark.parametrize("accept", ["text/html", "application/jsonp", "nonsense"])
def test_accept_header_without_json_is_passed_to_the_view(service, paths, fast_paths, accept):
    by_fast_path, by_view = call_both(service, paths[0], headers={"Accept": accept})
    assert by_fast_path == by_view
    assert fast_paths == []


WEAK = {"name": "Sales", "password": "1234", "beep": False}


def test_created_mailbox_is_the_same_as_the_views(service, account, fast_paths):
    by_fast_path, by_view = (
        (status, json.loads(body)["result"], headers | {"content-length": ""})
        for status, body, headers in call_both(service, "/voip/mailbox", "POST", WEAK)
    )
    for _status, result, _headers in (by_fast_path, by_view):
        mailbox = Mailbox.objects.get(uuid=result.pop("uuid"))
        assert (mailbox.account, mailbox.name, mailbox.password) == (account, "Sales", "1234")
    assert by_fast_path == by_view
    assert (by_fast_path[0], "x-pass-code-warning" in by_fast_path[2]) == (201, True)
    assert fast_paths == ["/voip/mailbox"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_changed_mailbox_is_the_same_as_the_views(service, paths, fast_paths, method):
    (status, body, headers), by_view = call_both(service, paths[1], method, WEAK)
    assert headers.pop("etag") == '"3"'  # version 1 is the mailbox, 2 its recipient, 3 this change
    by_view[2].pop("etag")
    assert (status, body, headers) == by_view
    assert (status, "x-pass-code-warning" in headers) == (200, True)
    assert fast_paths == [paths[1]]


def test_history_names_the_credential_as_author(service, paths, account):
    service.patch(paths[1], {"name": "Sales"})
    service.post(paths[0], {"name": "New"})
    authors = Mailbox.history.filter(name__in=["Sales", "New"]).values_list("history_credential")
    assert list(authors) == [(account.credentials.get().pk,)] * 2
    Mailbox.objects.create(account=account, name="Without")
    assert Mailbox.history.get(name="Without").history_credential is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[]", 400),
        ('{"name": NaN}', 400),
        ("{}", 400),
        ({"name": ""}, 400),
        ({"name": "Sales", "password": "12345"}, 400),
        ({"name": "Sales", "beep": "yes"}, 400),
        (b"\xff", 400),
        (b"", 400),
        (b" " * (1024 * 1024 + 1), 413),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_wrong_body_is_refused_and_changes_nothing(service, paths, method, body, status):
    before = list(Mailbox.objects.values())
    path = paths[0] if method == "POST" else paths[1]
    by_fast_path, by_view = call_both(service, path, method, body)
    assert by_fast_path == by_view
    assert by_fast_path[0] == status
    assert list(Mailbox.objects.values()) == before


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("json", 415),
    ],
)
def test_content_type_other_than_json_is_415(service, paths, content_type, status):
    for path in (paths[1], f"{paths[1]}?stray=1"):
        headers = {"Content-Type": content_type}
        assert service.put(path, '{"name": "Sales"}', headers=headers).status == status


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/voip/mailbox"), ("PATCH", "/voip/mailbox"), ("POST", f"/voip/mailbox/{PETE}")],
)
def test_wrong_method_is_405(service, paths, method, path):
    by_fast_path, by_view = call_both(service, path, method, WEAK)
    assert by_fast_path == by_view
    assert by_fast_path[0] == 405


def test_fields_of_a_concurrent_write_are_kept(service, paths, monkeypatch):
    """The row is read again and locked, so the other writer's fields are kept."""
    original = representation.mailbox_from_row

    def read_and_change(row):
        mailbox = original(row)
        if mailbox.version == 2:
            Mailbox.objects.get(pk=PETE).turn_transcription(True)
        return mailbox

    monkeypatch.setattr(representation, "mailbox_from_row", read_and_change)
    answer = service.patch(paths[1], {"name": "Sales"})
    assert (answer.status, answer.headers["etag"]) == (200, '"4"')
    assert (answer.result["name"], answer.result["transcribe"]) == ("Sales", True)
    assert answer.result["email_recipients"]


@pytest.mark.parametrize(
    "headers", [{"If-Match": '"2"'}, {"If-None-Match": '"9"'}, {"Idempotency-Key": "k"}]
)
def test_write_with_if_match_or_idempotency_key_is_passed_to_the_view(
    service, paths, fast_paths, headers
):
    assert service.put(paths[1], {"name": "Sales"}, headers=headers).status == 200
    assert fast_paths == []


def test_get_that_is_304_or_412_is_passed_to_the_view(service, paths, fast_paths):
    tag = service.get(paths[1]).headers["etag"]
    assert service.get(paths[1], headers={"If-None-Match": tag}).status == 304
    assert service.get(paths[1], headers={"If-Match": '"9"'}).status == 412
    assert fast_paths == [paths[1]]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Auth-Password": "wrong"}, 401),
        ({"X-Auth-Password": None}, 401),
        ({"X-Auth-For": "stranger"}, 403),
    ],
)
def test_wrong_credentials_are_refused(service, paths, headers, status):
    for path in paths:
        by_fast_path, by_view = call_both(service, path, headers=headers)
        assert by_fast_path == by_view
        assert by_fast_path[0] == status


@pytest.fixture(params=["unknown", "deleted", "foreign"])
def missing(request, account, stranger):
    """The path of a mailbox that the account does not have."""
    if request.param == "unknown":
        return f"/voip/mailbox/{UUID(int=1)}"
    owner = stranger if request.param == "foreign" else account
    mailbox = Mailbox.objects.create(account=owner, name="Pete", password="4711")
    if request.param == "deleted":
        mailbox.soft_delete()
    return f"/voip/mailbox/{mailbox.pk}"


@pytest.mark.parametrize("extra_headers", [{}, {"X-Auth-For": "acme"}])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH"])
def test_missing_mailbox_is_404(
    service, missing, fast_paths, caplog, settings, method, extra_headers
):
    caplog.set_level(logging.INFO, "mailboxes.request")
    settings.RATE_LIMIT = (100, 3600)
    body = None if method == "GET" else {"name": "", "password": "1234"}
    before = list(Mailbox.objects.values())
    by_fast_path, by_view = call_both(service, missing, method, body, headers=extra_headers)
    assert by_fast_path == by_view
    status, content, headers = by_fast_path
    assert status == 404
    assert content == b'{"result":{},"status_code":404,"status_message":"Not Found"}'
    assert "ratelimit-policy" in headers
    assert "etag" not in headers
    assert fast_paths == [missing]
    assert list(Mailbox.objects.values()) == before
    lines = [record.args | {"milliseconds": 0} for record in caplog.records]
    assert lines[0] == lines[1]
    assert (lines[0]["status"], "why" in lines[0]) == (404, False)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("body", ["{", "[]"])
def test_malformed_body_for_a_missing_mailbox_is_400(service, missing, method, body):
    by_fast_path, by_view = call_both(service, missing, method, body)
    assert by_fast_path == by_view
    assert by_fast_path[0] == 400


def test_call_that_the_server_refused_is_passed_to_the_view(rf):
    environ = rf.get("/voip/mailbox").environ
    assert plain_call(environ)
    assert plain_call(environ | {"mailboxes.refused": 400}) is None


@pytest.mark.parametrize(("https", "is_passed"), [(False, False), (True, True)])
def test_call_without_https_is_passed_to_the_view(rf, settings, https, is_passed):
    settings.HTTPS = https
    assert (plain_call(rf.get("/voip/mailbox").environ) is None) == is_passed


def test_call_to_another_host_is_passed_to_the_view(rf):
    assert (
        plain_call(rf.get("/voip/mailbox", headers={"Host": "elsewhere.example"}).environ) is None
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite has no server that ends connections"
)
@pytest.mark.parametrize(("method", "number"), [("GET", 0), ("POST", 0), ("PUT", 1), ("PATCH", 1)])
def test_dead_database_connection_is_replaced(service, paths, method, number):
    with closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    answer = service.call(method, paths[number], None if method == "GET" else {"name": "Sales"})
    assert answer.status in (200, 201)


def test_unavailable_database_is_503(service, paths, monkeypatch):
    def fail(*args, **kwargs):
        raise OperationalError

    monkeypatch.setattr("mailboxes.db.queries.PreparedQuery.rows", fail)
    by_fast_path, by_view = call_both(service, paths[1])
    assert by_fast_path == by_view
    assert by_fast_path[0] == 503


def test_call_is_counted_once_for_the_rate_limit(service, paths, settings):
    settings.RATE_LIMIT = (3, 60)
    for path, remaining in ((paths[0], 2), ("/voip/mailbox/" + str(UUID(int=1)), 1), (paths[1], 0)):
        assert f"r={remaining};" in service.get(path).headers["ratelimit"]
    refused = service.get(paths[1])
    assert (refused.status, refused.headers["ratelimit"].split(";")[1]) == (429, "r=0")
    assert 0 < int(refused.headers["retry-after"]) <= 60


def test_reason_of_a_refusal_is_logged_for_that_call_only(service, paths, caplog):
    caplog.set_level(logging.INFO, "mailboxes.request")
    headers = {"X-Request-ID": "acme-2023-06-02"}
    for path in (paths[1], f"{paths[1]}?stray=1"):
        caplog.clear()
        assert service.get(path, headers={"X-Auth-For": "stranger"}).status == 403
        assert service.get(paths[1], headers=headers).headers["x-request-id"] == "acme-2023-06-02"
        refused, answered = (record.getMessage() for record in caplog.records)
        assert "403" in refused
        assert refused.endswith("why=not-a-customer")
        assert "200" in answered
        assert "why=" not in answered


def test_if_unmodified_since_is_ignored(service, paths):
    """RFC 9110, 13.1.4: a resource without a modification date ignores it."""
    headers = {"If-Unmodified-Since": "Wed, 21 Oct 2015 07:28:00 GMT"}
    by_fast_path, by_view = call_both(service, paths[1], headers=headers)
    assert by_fast_path == by_view
    assert by_fast_path[0] == 200
    assert service.patch(paths[1], {"beep": False}, headers=headers).status == 200


def test_logged_time_of_a_crash_includes_the_fast_path(service, paths, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "mailboxes.request")
    monkeypatch.setattr(PlainCall, "answer", lambda call: time.sleep(0.2) or {}["missing"])
    assert service.get(paths[1]).status == 500
    (line,) = (record for record in caplog.records if record.name == "mailboxes.request")
    assert line.args["milliseconds"] >= 200
