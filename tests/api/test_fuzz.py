"""The service against generated calls: whatever comes, it answers as its published schema says.

A short run is part of the suite; `make fuzz` is the long one. Both make the same calls
again for the same FUZZ_SEED and FUZZ_EXAMPLES (of each command).
"""

import os
from collections import Counter
from zlib import crc32

import hypothesis
import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
)

from config.wsgi import application
from mailboxes.models import Mailbox
from tests.conftest import headers_for

pytestmark = pytest.mark.long

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))

CONFIG = schemathesis.Config(seed=SEED)
CHECKS = CONFIG.projects.default.checks
# An out-of-date If-Match is refused whatever else the call is like (issue 4: "If-Match … answers 412").
CHECKS.positive_data_acceptance.expected_statuses.append("412")
CHECKS.negative_data_rejection.expected_statuses.append("412")

SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    database=None,  # a run depends on its seed alone
    suppress_health_check=list(hypothesis.HealthCheck),  # one account serves all examples
)

schema = schemathesis.openapi.from_wsgi("/voip/schema?format=json", application, config=CONFIG)
calls = Counter()  # of the whole run, by command and status


@pytest.fixture(scope="module", autouse=True)
def _report(request):
    """After a long run, say how many calls got which answer."""
    yield
    plugin = request.config.pluginmanager.getplugin
    if "FUZZ_EXAMPLES" in os.environ and (terminal := plugin("terminalreporter")):
        lines = [f"{calls[key]:7} {key[1]} {key[0]}" for key in sorted(calls)]
        with plugin("capturemanager").global_and_fixture_disabled():
            terminal.write_line("\n".join(["", *lines, f"{calls.total():7} in all, seed {SEED}"]))


@pytest.fixture
def headers(account):
    return headers_for(account)


@pytest.fixture
def mailboxes(account):
    """Mailboxes of the account, each with a recipient."""
    mailboxes = [
        Mailbox.objects.create(account=account, name=name) for name in ("Sales", "Support")
    ]
    for mailbox in mailboxes:
        mailbox.add_recipient("ann@acme.example")
        mailbox.refresh_from_db()  # its version
    return mailboxes


@pytest.fixture(autouse=True)
def _one_connection():
    """The application stays in the test's transaction; Django's own test client does the same."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def answers():
    """The answers to one command. Calls that all fail would prove little, so some must have succeeded."""
    answers = Counter()
    yield answers
    assert any(200 <= status < 300 for status in answers)


def point_at(mailbox, case):
    """Put what exists where a valid value is."""
    path, headers = case.path_parameters, case.headers
    if not case.meta.is_negative_at(ParameterLocation.PATH):
        if "mailbox_uuid" in path:
            path["mailbox_uuid"] = str(mailbox.uuid)
        if "uuid" in path:
            row = mailbox.email_recipients.get() if "mailbox_uuid" in path else mailbox
            path["uuid"] = str(row.uuid)
    if not case.meta.is_negative_at(ParameterLocation.HEADER):
        tag = f'"{mailbox.version}"'
        known = {"X-Auth-For": mailbox.account.name, "If-Match": tag, "If-None-Match": tag}
        headers.update({name: known[name] for name in headers if name in known})
    email = case.body.get("email") if isinstance(case.body, dict) else None
    if isinstance(email, str) and not case.meta.is_negative_at(ParameterLocation.BODY):
        # An address that the mailbox has already, every other time.
        taken = mailbox.email_recipients.get().email.upper()
        case.body["email"] = taken if len(email) % 2 else email


def unfit_checks(case) -> list:
    """Checks that ask of this one call what the contract does not."""
    unfit = []
    # "text, 1 to 100 characters after trimming": a longer one may be short enough by then.
    name = case.body.get("name") if isinstance(case.body, dict) else None
    if isinstance(name, str) and name != name.strip():
        unfit.append(negative_data_rejection)
    # Issue 4: the cursor is opaque, so a schema cannot say which text is one.
    if "cursor" in case.query:
        unfit.append(positive_data_acceptance)
    return unfit


def spared_checks(number) -> list:
    """What is tried with every eighth call only: it makes two more of each, without a credential."""
    return [ignored_auth] if number % 8 else []


@schema.parametrize()
@SETTINGS
@pytest.mark.django_db
def test_answers_are_as_documented(case, headers, mailboxes, answers):
    # The call itself decides what it is about, so that it is the same call when it is repeated.
    number = crc32(repr((case.path_parameters, case.query, dict(case.headers), case.body)).encode())
    if number % 4:  # three of four
        point_at(mailboxes[number % len(mailboxes)], case)
    cache.clear()  # no limit holds it up
    with transaction.atomic():
        excluded = unfit_checks(case) + spared_checks(number)
        answer = case.call_and_validate(headers=headers, excluded_checks=excluded)
        transaction.set_rollback(True)
    answers[answer.status_code] += 1
    calls[case.operation.label, answer.status_code] += 1
