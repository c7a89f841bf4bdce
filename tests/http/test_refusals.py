"""A refusal tells its caller nothing; the request's line in the log tells whoever runs the service why."""

import json
import logging

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mailboxes.models import Account
from mailboxes.monitoring.logs import JSONFormatter
from tests.conftest import headers_for
from tests.engines.engine import Asterisk, engine_headers
from tests.service import InProcess


def why(caplog) -> str | None:
    """The last request's, as its line says."""
    line = [record for record in caplog.records if record.name == "mailboxes.request"][-1]
    told = json.loads(JSONFormatter().format(line)).get("why")
    assert line.getMessage().endswith(f" why={told}" if told else f" by={line.args['by']}")
    return told


@pytest.fixture(autouse=True)
def _all_lines(caplog):
    caplog.set_level(logging.INFO, logger="mailboxes.request")


@pytest.fixture
def staff(db):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.create_user("hugo", is_staff=True))
    return browser


def test_what_is_served_has_no_reason(service, caplog):
    assert service.get("/authenticated").status == 200
    assert why(caplog) is None


def test_without_https(service, account, settings, caplog):
    settings.HTTPS = True
    assert service.get("/authenticated").status == 403
    assert why(caplog) == "no-https"
    assert Asterisk(engine_headers(account)).single("x", "acme").status == 403
    assert why(caplog) == "no-https"


def test_from_outside_the_credentials_networks(account, caplog):
    assert InProcess(headers_for(account, networks="192.0.2.1")).get("/authenticated").status == 403
    assert why(caplog) == "network"
    engine = Asterisk(engine_headers(account, networks="192.0.2.1"))
    assert engine.single("x", "acme").status == 403
    assert why(caplog) == "network"


def test_a_telephones_update_that_is_answered_by_200_and_refused(account, caplog):
    engine = Asterisk(engine_headers(account, networks="192.0.2.1"))
    assert engine.update("x", "acme", "2468").status == 200
    assert why(caplog) == "network"


@pytest.mark.parametrize("name", ["stranger", "nobody", "why=x\nforged"])
def test_for_an_account_that_is_no_customer(service, stranger, caplog, name):
    assert service.get("/authenticated", headers={"X-Auth-For": name}).status == 403
    assert why(caplog) == "not-a-customer"


@pytest.mark.parametrize("path", ["/voip/mailbox", "/sign-in/", "/asterisk/voicemail/single"])
def test_by_a_name_that_is_not_the_services(service, caplog, path):
    assert service.get(path, headers={"Host": "evil.example"}).status == 400
    assert why(caplog) == "host"


def test_a_form_without_its_token(staff, caplog):
    assert staff.post("/accounts/add/").status_code == 403
    assert why(caplog) == "csrf"


def test_staff_who_may_not(staff, caplog):
    assert staff.get("/accounts/add/").status_code == 403
    assert why(caplog) == "not-permitted"


def test_the_next_request_has_its_own(service, account, caplog):
    service.get("/authenticated", headers={"X-Auth-For": "nobody"})
    Account.objects.create(name="customer", reseller=account)
    assert service.get("/authenticated", headers={"X-Auth-For": "customer"}).status == 200
    assert why(caplog) is None
