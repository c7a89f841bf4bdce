"""Signals about messages are part of the transaction that changes the message."""

import pytest
from django.db import connection

from mailboxes.models import Mailbox, Message
from mailboxes.models.signals import message_received, messages_deleted
from tests.messages import leave_message

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Front desk")


@pytest.fixture
def sent():
    """Return the messages of the sent signals, by signal."""
    sent = {message_received: [], messages_deleted: []}

    def note(signal, message=None, messages=(), **kwargs):
        assert connection.in_atomic_block
        sent[signal] += messages or [message]

    for signal in sent:
        signal.connect(note)
    yield sent
    for signal in sent:
        signal.disconnect(note)


def test_new_message_is_signalled_once_for_each_call(mailbox, sent):
    message = leave_message(mailbox, call_id="call-1")
    leave_message(mailbox, call_id="call-1")
    assert sent[message_received] == [message]


def test_error_of_a_receiver_keeps_no_message_and_no_recording(mailbox, recordings_folder):
    def refuse(message, **kwargs):
        raise ValueError("refused")

    message_received.connect(refuse)
    try:
        with pytest.raises(ValueError, match="refused"):
            leave_message(mailbox)
    finally:
        message_received.disconnect(refuse)
    assert not Message.objects.exists()
    assert not [path for path in recordings_folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("way", ["one", "many"])
def test_deleted_message_is_signalled_once(mailbox, sent, way):
    message = leave_message(mailbox)
    for _ in range(2):
        if way == "one":
            message.soft_delete()
        else:
            Message.objects.all().change_each("delete", [message.pk])
    assert sent[messages_deleted] == [message]
