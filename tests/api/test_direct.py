"""What is read past the view is what the view would have said: with a stray parameter, it does say it."""

import logging
import time
from uuid import UUID

import pytest
from django.db import OperationalError

from mailboxes.api import direct
from mailboxes.models import Mailbox

PETES = UUID("5f9b7c1e-2e0f-4c57-8d2a-0c1f4b6a9d3e")
BY_ITSELF = {
    "x-request-id",
    "ratelimit",
    "allow",
}  # Allow is the view's; the first two tell calls apart


@pytest.fixture
def paths(account):
    mailbox = Mailbox.objects.create(uuid=PETES, account=account, name="Pete", password="4711")
    mailbox.add_recipient("pete@acme.example")
    return ["/voip/mailbox", f"/voip/mailbox/{PETES}", f"/voip/mailbox/{str(PETES).upper()}/"]


@pytest.fixture
def read_directly(monkeypatch):
    """The paths that were read before Django."""
    seen = []
    answer = direct.answer

    def watched(call):
        answered = answer(call)
        seen.append(call.path)
        return answered

    monkeypatch.setattr(direct, "answer", watched)
    return seen


def both(service, path, **kwargs):
    """The same call, read directly and by the view, without what tells any two calls apart."""
    for each in (path, f"{path}?stray=1"):
        answer = service.get(each, **kwargs)
        headers = {name: text for name, text in answer.headers.items() if name not in BY_ITSELF}
        yield answer.status, answer.body, headers


def test_as_the_view_says_it(service, paths, read_directly):
    for path in paths:
        by_itself, by_the_view = both(service, path)
        assert by_itself == by_the_view
    assert read_directly == paths


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json, text/plain, */*", "text/html,*/*;q=0.8"]
)
def test_whoever_takes_json(service, paths, read_directly, accept):
    assert service.get(paths[0], headers={"Accept": accept}).status == 200
    assert read_directly == paths[:1]


@pytest.mark.parametrize("accept", ["text/html", "application/jsonp", "nonsense"])
def test_whoever_takes_none_is_the_views_business(service, paths, read_directly, accept):
    by_itself, by_the_view = both(service, paths[0], headers={"Accept": accept})
    assert by_itself == by_the_view
    assert read_directly == []


def test_what_has_not_changed_is_the_views_business(service, paths, read_directly):
    tag = service.get(paths[1]).headers["etag"]
    assert service.get(paths[1], headers={"If-None-Match": tag}).status == 304
    assert service.get(paths[1], headers={"If-Match": '"9"'}).status == 412
    assert read_directly == [paths[1]]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Auth-Password": "wrong"}, 401),
        ({"X-Auth-Password": None}, 401),
        ({"X-Auth-For": "stranger"}, 403),
    ],
)
def test_refusals(service, paths, headers, status):
    for path in paths:
        by_itself, by_the_view = both(service, path, headers=headers)
        assert by_itself == by_the_view
        assert by_itself[0] == status


def test_no_such_mailbox(service, paths):
    by_itself, by_the_view = both(service, f"/voip/mailbox/{UUID(int=1)}")
    assert by_itself == by_the_view
    assert by_itself[0] == 404


def test_database_away(service, paths, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError

    monkeypatch.setattr("mailboxes.statements.Statement.rows", away)
    by_itself, by_the_view = both(service, paths[1])
    assert by_itself == by_the_view
    assert by_itself[0] == 503


def test_a_call_is_counted_once(service, paths, settings):
    settings.RATE_LIMIT = (3, 60)
    for path, left in ((paths[0], 2), ("/voip/mailbox/" + str(UUID(int=1)), 1), (paths[1], 0)):
        assert f"r={left};" in service.get(path).headers["ratelimit"]
    refused = service.get(paths[1])
    assert (refused.status, refused.headers["ratelimit"].split(";")[1]) == (429, "r=0")
    assert 0 < int(refused.headers["retry-after"]) <= 60


def test_the_log_says_why_it_was_refused_and_of_no_other_call(service, paths, caplog):
    caplog.set_level(logging.INFO, "mailboxes.request")
    named = {"X-Request-ID": "acme-2023-06-02"}
    for path in (paths[1], f"{paths[1]}?stray=1"):
        caplog.clear()
        assert service.get(path, headers={"X-Auth-For": "stranger"}).status == 403
        assert service.get(paths[1], headers=named).headers["x-request-id"] == named["X-Request-ID"]
        refused, answered = (record.getMessage() for record in caplog.records)
        assert "403" in refused
        assert refused.endswith("why=not-a-customer")
        assert "200" in answered
        assert "why=" not in answered


def test_a_condition_by_date_is_ignored(service, paths):
    """RFC 9110, 13.1.4: nothing tells when a mailbox was changed, but for the day."""
    headers = {"If-Unmodified-Since": "Wed, 21 Oct 2015 07:28:00 GMT"}
    by_itself, by_the_view = both(service, paths[1], headers=headers)
    assert by_itself == by_the_view
    assert by_itself[0] == 200
    assert service.patch(paths[1], {"beep": False}, headers=headers).status == 200


def test_the_line_of_a_refusal_tells_all_of_its_time(service, paths, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "mailboxes.request")
    monkeypatch.setattr(direct, "answer", lambda call: time.sleep(0.2) or {}["missing"])
    assert service.get(paths[1]).status == 500
    (line,) = (record for record in caplog.records if record.name == "mailboxes.request")
    assert line.args["milliseconds"] >= 200
