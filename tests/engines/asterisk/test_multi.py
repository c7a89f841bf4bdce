"""The list of `voicemail show users`: `POST …/multi`, body `context=CONTEXT`."""

import tracemalloc

import pytest

from mailboxes.contract import MAX_RECIPIENTS
from mailboxes.http import bodies
from mailboxes.models import EmailRecipient, Mailbox
from tests.engines.engine import parse_columns


def test_list_has_one_line_for_each_mailbox(asterisk, mailbox, account):
    other = Mailbox.objects.create(account=account, name="x\ny=&")
    lines = asterisk.multi("acme").body.splitlines()
    assert [parse_columns(line)["mailbox"] for line in lines] == [str(mailbox.pk), str(other.pk)]
    assert parse_columns(lines[0])["email"] == "ann@acme.example|bob@acme.example"
    assert parse_columns(lines[1])["fullname"] == "x\ny=&"


def test_list_has_no_pass_codes(asterisk, mailbox):
    assert parse_columns(asterisk.multi("acme").body)["password"] == "none"


def test_deleted_mailboxes_and_other_accounts_are_not_listed(asterisk, mailbox, stranger):
    Mailbox.objects.create(account=stranger, name="Theirs")
    mailbox.soft_delete()
    for context in ("acme", "stranger"):
        answer = asterisk.multi(context)
        assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "body", ["", "context%20LIKE=%25", "context=", "context=%00", "context=ac%00me", "mailbox=x"]
)
def test_form_without_a_context_lists_nothing(asterisk, mailbox, body):
    answer = asterisk.send_form("multi", body)
    assert (answer.status, answer.body) == (200, b"")


def test_long_list_costs_one_query(asterisk, account, django_assert_num_queries):
    for number in range(5):
        mailbox = Mailbox.objects.create(account=account, name=f"{number}")
        mailbox.add_recipient("ann@acme.example")
        mailbox.add_recipient("bob@acme.example")
    asterisk.multi("acme")
    with django_assert_num_queries(2):
        assert asterisk.multi("acme").body.count(b"\n") == 5


def test_long_list_takes_little_memory(asterisk, account):
    mailboxes = [Mailbox(account=account, name=f"Box {number}") for number in range(100)]
    Mailbox.objects.bulk_create(mailboxes)
    EmailRecipient.objects.bulk_create(
        EmailRecipient(mailbox=mailbox, email=f"{number}@acme.example", position=number)
        for mailbox in mailboxes
        for number in range(MAX_RECIPIENTS)
    )
    asterisk.multi("acme")
    tracemalloc.start()
    body = asterisk.multi("acme").body
    _size, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert body.count(b"acme.example") == 100 * MAX_RECIPIENTS
    assert peak < 10 * len(body)


def test_too_many_long_lists_are_refused(asterisk, mailbox, monkeypatch):
    monkeypatch.setattr(bodies, "MEMORY_BYTES", 1)
    monkeypatch.setattr(bodies, "MAX_ANSWER_FILES", 0)
    answer = asterisk.multi("acme")
    assert (answer.status, answer.body) == (503, b"")
