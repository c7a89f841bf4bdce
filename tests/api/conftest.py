"""Fixtures of the tests of messages."""

import pytest

from mailboxes.models import Mailbox
from tests.recordings import make_form, make_wav


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales")


@pytest.fixture
def path(mailbox):
    """Return the path of the mailbox's messages."""
    return f"/voip/mailbox/{mailbox.uuid}/messages"


@pytest.fixture
def add(service, path):
    """Return a function that adds a message, and returns it as the API shows it."""

    def add_message(**fields):
        answer = service.post(path, **make_form(make_wav(), **fields))
        assert answer.status == 201
        return answer.result

    return add_message


@pytest.fixture
def wire_path(wire):
    """Return the path of the messages of a new mailbox."""
    uuid = wire.post("/voip/mailbox", {"name": "Sales"}).result["uuid"]
    return f"/voip/mailbox/{uuid}/messages"


@pytest.fixture
def wire_message(wire, wire_path):
    """Return the path of a new message."""
    answer = wire.post(wire_path, **make_form(make_wav()))
    return f"{wire_path}/{answer.result['uuid']}"
