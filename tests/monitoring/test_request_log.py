"""One log line for each request: the caller, the request id, and the reason of a refusal."""

import json
import logging

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mailboxes.models import Account
from mailboxes.monitoring.logs import JSONFormatter
from tests.conftest import headers_for
from tests.engines.engine import Asterisk, engine_headers
from tests.service import InProcess, shows


@pytest.fixture(autouse=True)
def _log_all_requests(caplog):
    caplog.set_level(logging.INFO, logger="mailboxes.request")


@pytest.fixture
def staff(db):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.create_user("hugo", is_staff=True))
    return browser


def logged_reason(caplog) -> str | None:
    """Return the reason in the last request's line, which is the same as text and as JSON."""
    line = [record for record in caplog.records if record.name == "mailboxes.request"][-1]
    reason = json.loads(JSONFormatter().format(line)).get("why")
    assert line.getMessage().endswith(f" why={reason}" if reason else f" by={line.args['by']}")
    return reason


def test_request_has_one_line_without_secrets(account, caplog):
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


def test_ipv6_address_is_logged_completely(db, caplog):
    """Wrong passwords, however, are counted for its network."""
    Client(REMOTE_ADDR="2001:db8::9").get("/sign-in/")
    assert "from=2001:db8::9 " in caplog.text


def test_answer_has_a_request_id(service):
    assert len(service.get("/voip/mailbox").headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("request_id", "is_kept"),
    [("abc-123_X.y", True), ("short", False), ("x" * 65, False), ("a b c d e f", False)],
)
def test_request_id_of_the_caller_is_kept_if_it_is_plain(service, request_id, is_kept):
    answer = service.get("/voip/mailbox", headers={"X-Request-ID": request_id})
    assert (answer.headers["x-request-id"] == request_id) is is_kept


# --- Reasons of refusals -------------------------------------------------------------------------


def test_successful_request_has_no_reason(service, caplog):
    assert service.get("/authenticated").status == 200
    assert logged_reason(caplog) is None


def test_missing_https_is_logged(service, account, settings, caplog):
    settings.HTTPS = True
    assert service.get("/authenticated").status == 403
    assert logged_reason(caplog) == "no-https"
    assert Asterisk(engine_headers(account)).single("x", "acme").status == 403
    assert logged_reason(caplog) == "no-https"


def test_address_outside_the_networks_is_logged(account, caplog):
    assert InProcess(headers_for(account, networks="192.0.2.1")).get("/authenticated").status == 403
    assert logged_reason(caplog) == "network"
    engine = Asterisk(engine_headers(account, networks="192.0.2.1"))
    assert engine.single("x", "acme").status == 403
    assert logged_reason(caplog) == "network"


def test_reason_of_a_refused_update_with_status_200_is_logged(account, caplog):
    engine = Asterisk(engine_headers(account, networks="192.0.2.1"))
    assert engine.update("x", "acme", "2468").status == 200
    assert logged_reason(caplog) == "network"


@pytest.mark.parametrize("name", ["stranger", "nobody", "why=x\nforged"])
def test_x_auth_for_without_such_a_customer_is_logged(service, stranger, caplog, name):
    assert service.get("/authenticated", headers={"X-Auth-For": name}).status == 403
    assert logged_reason(caplog) == "not-a-customer"


@pytest.mark.parametrize("path", ["/voip/mailbox", "/sign-in/", "/asterisk/voicemail/single"])
def test_unknown_host_is_logged(service, caplog, path):
    assert service.get(path, headers={"Host": "evil.example"}).status == 400
    assert logged_reason(caplog) == "host"


def test_missing_csrf_token_is_logged(staff, caplog):
    assert staff.post("/accounts/add/").status_code == 403
    assert logged_reason(caplog) == "csrf"


def test_missing_permission_is_logged(staff, caplog):
    assert staff.get("/accounts/add/").status_code == 403
    assert logged_reason(caplog) == "not-permitted"


def test_reason_is_not_logged_for_the_next_request(service, account, caplog):
    service.get("/authenticated", headers={"X-Auth-For": "nobody"})
    Account.objects.create(name="customer", reseller=account)
    assert service.get("/authenticated", headers={"X-Auth-For": "customer"}).status == 200
    assert logged_reason(caplog) is None
