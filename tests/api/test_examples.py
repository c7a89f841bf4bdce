"""Answers have the values of the published examples, and their keys in the same order."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.api import examples

PETE = UUID("31347d42-00bd-44a5-9b5c-20dc4197a2f6")
EXAMPLE_TIME = datetime(2023, 6, 2, 12, tzinfo=UTC)


def parse_in_order(text):
    """Parse JSON objects as lists of pairs, so that a comparison covers the order of keys."""
    return json.loads(text, object_pairs_hook=list)


def replace_day(text):
    """Replace the example's day with today, the day of the call."""
    return text.replace("2023-06-02", datetime.now(UTC).date().isoformat())


@pytest.fixture
def petes_mailbox(wire):
    account = Account.objects.get(name="acme")
    fields = json.loads(examples.ALL_FIELDS)
    mailbox = Mailbox.objects.create(uuid=PETE, account=account, created_at=EXAMPLE_TIME, **fields)
    EmailRecipient.objects.create(
        uuid=PETE, mailbox=mailbox, email="pete@acme.example", created_at=EXAMPLE_TIME
    )
    Mailbox.objects.update(updated_at=EXAMPLE_TIME)
    return mailbox


def test_list_is_like_the_example(wire, petes_mailbox):
    assert parse_in_order(wire.get("/voip/mailbox").body) == parse_in_order(examples.LIST_200)


def test_mailbox_is_like_the_example(wire, petes_mailbox):
    assert parse_in_order(wire.get(f"/voip/mailbox/{PETE}").body) == parse_in_order(
        examples.ONE_200
    )


def test_created_mailbox_is_like_the_example(wire):
    answer = wire.post("/voip/mailbox", examples.ALL_FIELDS)
    expected = json.loads(replace_day(examples.CREATE_201))
    expected["result"] |= {"uuid": answer.result["uuid"], "email_recipients": []}
    assert parse_in_order(answer.body) == parse_in_order(json.dumps(expected))


def test_updated_mailbox_is_like_the_example(wire, petes_mailbox):
    answer = wire.put(f"/voip/mailbox/{PETE}", examples.ALL_FIELDS)
    expected = json.loads(examples.ONE_200)
    expected["result"]["updated_on"] = datetime.now(UTC).date().isoformat()
    assert parse_in_order(answer.body) == parse_in_order(json.dumps(expected))


def test_answer_404_is_like_the_example(wire):
    for method in ("GET", "PUT", "DELETE"):
        answer = wire.call(method, f"/voip/mailbox/{PETE}", examples.ALL_FIELDS)
        assert parse_in_order(answer.body) == parse_in_order(examples.NOT_FOUND_404)


def test_bad_request_is_like_the_example_with_errors_at_the_end(wire):
    answer = parse_in_order(wire.post("/voip/mailbox", {}).body)
    assert answer[:-1] == parse_in_order(examples.BAD_REQUEST_400)
    assert answer[-1][0] == "errors"
