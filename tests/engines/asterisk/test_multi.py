"""The list of `voicemail show users`: `POST …/multi`, body `context=CONTEXT`."""

import pytest

from mailboxes.models import Mailbox
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
