"""`voicemail show users`: `POST …/multi`, body `context=CONTEXT`, answered with a line a mailbox."""

import pytest

from mailboxes.models import Mailbox
from tests.engines.engine import columns


def test_a_line_a_mailbox(asterisk, mailbox, account):
    other = Mailbox.objects.create(account=account, name="x\ny=&")
    lines = asterisk.multi("acme").body.splitlines()
    assert [columns(line)["mailbox"] for line in lines] == [str(mailbox.pk), str(other.pk)]
    assert columns(lines[0])["email"] == "ann@acme.example|bob@acme.example"
    assert columns(lines[1])["fullname"] == "x\ny=&"


def test_no_pass_code_is_among_them(asterisk, mailbox):
    assert columns(asterisk.multi("acme").body)["password"] == "none"


def test_neither_deleted_ones_nor_anothers(asterisk, mailbox, stranger):
    Mailbox.objects.create(account=stranger, name="Theirs")
    mailbox.soft_delete()
    for context in ("acme", "stranger"):
        answer = asterisk.multi(context)
        assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "body", ["", "context%20LIKE=%25", "context=", "context=%00", "context=ac%00me", "mailbox=x"]
)
def test_what_names_no_context_lists_nothing(asterisk, mailbox, body):
    answer = asterisk.ask("multi", body)
    assert (answer.status, answer.body) == (200, b"")


def test_many_cost_one_query(asterisk, account, django_assert_num_queries):
    for number in range(5):
        mailbox = Mailbox.objects.create(account=account, name=f"{number}")
        mailbox.add_recipient("ann@acme.example")
        mailbox.add_recipient("bob@acme.example")
    asterisk.multi("acme")
    with django_assert_num_queries(2):
        assert asterisk.multi("acme").body.count(b"\n") == 5
