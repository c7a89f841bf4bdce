"""The page's own examples, value by value and key by key in their order, from both forms of the service."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.api import page

PETES = UUID("31347d42-00bd-44a5-9b5c-20dc4197a2f6")
THAT_DAY = datetime(2023, 6, 2, 12, tzinfo=UTC)


def in_order(text):
    """The JSON with objects as lists of pairs, so that the order of keys counts."""
    return json.loads(text, object_pairs_hook=list)


def same_day(text):
    """The example with its days moved to today: the service was called today."""
    return text.replace("2023-06-02", datetime.now(UTC).date().isoformat())


@pytest.fixture
def petes_mailbox(wire):
    account = Account.objects.get(name="acme")
    fields = json.loads(page.ALL_FIELDS)
    mailbox = Mailbox.objects.create(uuid=PETES, account=account, created_at=THAT_DAY, **fields)
    EmailRecipient.objects.create(
        uuid=PETES, mailbox=mailbox, email="pete@acme.example", created_at=THAT_DAY
    )
    Mailbox.objects.update(updated_at=THAT_DAY)
    return mailbox


def test_list(wire, petes_mailbox):
    assert in_order(wire.get("/voip/mailbox").body) == in_order(page.LIST_200)


def test_get(wire, petes_mailbox):
    assert in_order(wire.get(f"/voip/mailbox/{PETES}").body) == in_order(page.ONE_200)


def test_create(wire):
    answer = wire.post("/voip/mailbox", page.ALL_FIELDS)
    expected = json.loads(same_day(page.CREATE_201))
    expected["result"] |= {"uuid": answer.result["uuid"], "email_recipients": []}
    assert in_order(answer.body) == in_order(json.dumps(expected))


def test_update(wire, petes_mailbox):
    answer = wire.put(f"/voip/mailbox/{PETES}", page.ALL_FIELDS)
    expected = json.loads(page.ONE_200)
    expected["result"]["updated_on"] = datetime.now(UTC).date().isoformat()
    assert in_order(answer.body) == in_order(json.dumps(expected))


def test_not_found(wire):
    for method in ("GET", "PUT", "DELETE"):
        answer = wire.call(method, f"/voip/mailbox/{PETES}", page.ALL_FIELDS)
        assert in_order(answer.body) == in_order(page.NOT_FOUND_404)


def test_bad_request_begins_as_on_the_page_and_adds_one_key_last(wire):
    answer = in_order(wire.post("/voip/mailbox", {}).body)
    assert answer[:-1] == in_order(page.BAD_REQUEST_400)
    assert answer[-1][0] == "errors"
