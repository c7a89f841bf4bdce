"""The lookup of a call: `POST …/single`, body `mailbox=BOX&context=CONTEXT`."""

import re
from uuid import UUID

import pytest

from mailboxes.models import Account, Mailbox
from tests.engines.engine import Asterisk, columns, engine_headers

HOSTILE = [
    "&password=0000",
    "a=b",
    "100%",
    "%26password%3D0000",
    "x\ny",
    "x\r\nmailbox=y",
    "\"quotes' and `ticks`",
    "]]>",
    "\N{TELEPHONE RECEIVER} \U0001f4de Ünï",
    "${SHELL(id)}",
    "+ ;,|",
]


def test_a_mailbox_is_one_line(asterisk, mailbox):
    answer = asterisk.single(mailbox.pk, "acme")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body.decode() == (
        f"mailbox={mailbox.pk}&context=acme&password=4829&attach=yes&saycid=no&envelope=no"
        "&beep=yes&transcribe=no&greeting_url="
        "&email=ann%40acme.example%7Cbob%40acme.example&fullname=Sales\n"
    )


@pytest.mark.parametrize(
    ("setting", "column"),
    [
        ("play_caller_id", "saycid"),
        ("play_timestamp", "envelope"),
        ("beep", "beep"),
        ("transcribe", "transcribe"),
    ],
)
@pytest.mark.parametrize(("value", "word"), [(True, "yes"), (False, "no")])
def test_each_switch_is_a_column(asterisk, mailbox, setting, column, value, word):
    setattr(mailbox, setting, value)
    mailbox.save()
    assert asterisk.mailbox(mailbox)[column] == word


def test_without_a_pass_code_there_is_none_to_dial(asterisk, mailbox):
    """An empty one would open the mailbox to whoever presses nothing but #."""
    mailbox.password = None
    mailbox.save()
    assert re.search("[0-9*#]", asterisk.mailbox(mailbox)["password"]) is None
    assert asterisk.mailbox(mailbox)["password"] != ""


def test_a_pass_code_that_no_key_opens_is_as_none(asterisk, mailbox, caplog):
    Mailbox.objects.update(password_sealed="0badf00d:AAAA")
    assert asterisk.mailbox(mailbox)["password"] == "none"
    assert f"{mailbox.pk}: A pass code cannot be decrypted" in caplog.text


def test_without_recipients_nobody_is_mailed(asterisk, mailbox):
    mailbox.email_recipients.all().delete()
    assert asterisk.mailbox(mailbox)["email"] == ""


def test_an_address_that_would_come_out_as_two_is_left_out(asterisk, mailbox):
    mailbox.add_recipient("ann|mallory@evil.example")
    assert asterisk.mailbox(mailbox)["email"] == "ann@acme.example|bob@acme.example"


def test_what_somebody_wrote_comes_last(asterisk, mailbox):
    """In REALTIME_HASH a comma after a backslash might begin another column: of these no more come."""
    assert list(asterisk.mailbox(mailbox))[-2:] == ["email", "fullname"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_in_its_column(asterisk, mailbox, name):
    Mailbox.objects.update(name=name)
    answer = asterisk.single(mailbox.pk, "acme")
    assert answer.body.count(b"\n") == 1
    found = columns(answer.body)
    assert found["fullname"] == name
    assert found["password"] == "4829"
    assert len(found) == 11


@pytest.mark.parametrize(
    "address", ['"&password=0000"@x.example', "a%0A=&b@x.example", "a'`${X}@x.example"]
)
def test_so_does_a_hostile_address(asterisk, mailbox, address):
    mailbox.email_recipients.all().delete()
    mailbox.add_recipient(address)
    assert asterisk.mailbox(mailbox)["email"] == address


def test_a_long_name_is_cut_between_characters(asterisk, mailbox):
    Mailbox.objects.update(name="\U0001f4de" * 100)
    assert asterisk.mailbox(mailbox)["fullname"] == "\U0001f4de" * 19


@pytest.mark.parametrize(
    "context",
    ["stranger", "Acme", "default", "", "\x00", "ac\x00me", "acme\x00", "acme'--", *HOSTILE],
)
def test_in_another_context_there_is_no_mailbox(asterisk, mailbox, stranger, context):
    answer = asterisk.single(mailbox.pk, context)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("box", [UUID(int=1), "2001", "", "\x00", "{0}", "%s", *HOSTILE])
def test_an_unknown_mailbox_is_an_empty_answer(asterisk, mailbox, box):
    answer = asterisk.single(box, "acme")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "body", ["", "mailbox", "context=acme", "=&=", "%ff%fe=%00", "mailbox=%zz"]
)
def test_what_asks_for_nothing_gets_nothing(asterisk, mailbox, body):
    answer = asterisk.ask("single", body)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("box", ["\x00{}", "{}\x00", "{}\x00x", " {}", "{}\n"])
def test_nor_does_more_than_its_name_find_it(asterisk, mailbox, box):
    answer = asterisk.single(box.format(mailbox.pk), "acme")
    assert (answer.status, answer.body) == (200, b"")


def test_a_deleted_mailbox_is_an_empty_answer_until_it_is_restored(asterisk, mailbox):
    mailbox.soft_delete()
    assert asterisk.single(mailbox.pk, "acme").body == b""
    mailbox.restore()
    assert asterisk.mailbox(mailbox)["mailbox"] == str(mailbox.pk)


def test_so_is_that_of_a_suspended_account(mailbox, account):
    asterisk = Asterisk(engine_headers())
    account.suspend()
    assert asterisk.single(mailbox.pk, "acme").body == b""
    account.reactivate()
    assert asterisk.single(mailbox.pk, "acme").body != b""


def test_the_dialplan_names_no_context(asterisk, mailbox):
    """REALTIME_HASH(voicemail,mailbox,BOX) asks so, and is told the context for VoiceMail().

    What it is told is written into Asterisk's log: no pass code.
    """
    found = columns(asterisk.ask("single", f"mailbox={mailbox.pk}").body)
    assert (found["mailbox"], found["context"]) == (str(mailbox.pk), "acme")
    assert found["password"] == "none"


@pytest.fixture
def customer(account):
    """A mailbox of a customer's customer."""
    customer = Account.objects.create(name="customer", reseller=account)
    further = Account.objects.create(name="further", reseller=customer)
    return Mailbox.objects.create(account=further, name="Further")


def test_it_reads_the_mailboxes_of_customers_at_any_depth(asterisk, customer):
    assert asterisk.mailbox(customer)["fullname"] == "Further"


def test_a_suspended_reseller_does_not_suspend_its_customers(account, customer):
    asterisk = Asterisk(engine_headers())
    account.suspend()
    assert asterisk.mailbox(customer)["fullname"] == "Further"


def test_it_reads_none_of_the_account_above_or_of_a_stranger(mailbox, customer, stranger):
    for account in (customer.account, stranger):
        asterisk = Asterisk(engine_headers(account))
        assert asterisk.single(mailbox.pk, "acme").body == b""


def test_one_of_no_account_reads_all(mailbox, stranger):
    theirs = Mailbox.objects.create(account=stranger, name="Theirs")
    asterisk = Asterisk(engine_headers())
    assert asterisk.mailbox(mailbox)["fullname"] == "Sales"
    assert asterisk.mailbox(theirs)["fullname"] == "Theirs"


@pytest.mark.parametrize("of_account", [True, False])
def test_a_lookup_costs_one_query_besides_the_credentials(
    account, mailbox, django_assert_num_queries, of_account
):
    asterisk = Asterisk(engine_headers(account if of_account else None))
    asterisk.mailbox(mailbox)  # the first use of a minute is written down
    with django_assert_num_queries(2):
        asterisk.single(mailbox.pk, "acme")
