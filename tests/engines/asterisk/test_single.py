"""The lookup of a call: `POST …/single`, body `mailbox=BOX&context=CONTEXT`."""

import re
from uuid import UUID

import pytest

from mailboxes.models import Account, Mailbox
from tests.engines.engine import Asterisk, engine_headers, parse_columns

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


def test_mailbox_is_one_line(asterisk, mailbox):
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


def test_missing_pass_code_cannot_be_dialled(asterisk, mailbox):
    """With an empty pass code, anyone could open the mailbox by pressing #."""
    mailbox.password = None
    mailbox.save()
    assert re.search("[0-9*#]", asterisk.mailbox(mailbox)["password"]) is None
    assert asterisk.mailbox(mailbox)["password"] != ""


def test_pass_code_that_no_key_decrypts_cannot_be_dialled(asterisk, mailbox, caplog):
    Mailbox.objects.update(password_sealed="0badf00d:AAAA")
    assert asterisk.mailbox(mailbox)["password"] == "none"
    assert f"{mailbox.pk}: A pass code cannot be decrypted" in caplog.text


def test_mailbox_without_recipients_has_no_address(asterisk, mailbox):
    mailbox.email_recipients.all().delete()
    assert asterisk.mailbox(mailbox)["email"] == ""


def test_address_that_would_be_split_is_left_out(asterisk, mailbox):
    mailbox.add_recipient("ann|mallory@evil.example")
    assert asterisk.mailbox(mailbox)["email"] == "ann@acme.example|bob@acme.example"


def test_columns_with_texts_of_users_come_last(asterisk, mailbox):
    """In REALTIME_HASH a comma after a backslash could begin another column."""
    assert list(asterisk.mailbox(mailbox))[-2:] == ["email", "fullname"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_stays_in_its_column(asterisk, mailbox, name):
    Mailbox.objects.update(name=name)
    answer = asterisk.single(mailbox.pk, "acme")
    assert answer.body.count(b"\n") == 1
    found = parse_columns(answer.body)
    assert found["fullname"] == name
    assert found["password"] == "4829"
    assert len(found) == 11


@pytest.mark.parametrize(
    "address", ['"&password=0000"@x.example', "a%0A=&b@x.example", "a'`${X}@x.example"]
)
def test_hostile_address_stays_in_its_column(asterisk, mailbox, address):
    mailbox.email_recipients.all().delete()
    mailbox.add_recipient(address)
    assert asterisk.mailbox(mailbox)["email"] == address


def test_long_name_is_cut_between_characters(asterisk, mailbox):
    Mailbox.objects.update(name="\U0001f4de" * 100)
    assert asterisk.mailbox(mailbox)["fullname"] == "\U0001f4de" * 19


@pytest.mark.parametrize(
    "context",
    ["stranger", "Acme", "default", "", "\x00", "ac\x00me", "acme\x00", "acme'--", *HOSTILE],
)
def test_mailbox_is_not_found_in_another_context(asterisk, mailbox, stranger, context):
    answer = asterisk.single(mailbox.pk, context)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("box", [UUID(int=1), "2001", "", "\x00", "{0}", "%s", *HOSTILE])
def test_unknown_mailbox_gets_an_empty_answer(asterisk, mailbox, box):
    answer = asterisk.single(box, "acme")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "body", ["", "mailbox", "context=acme", "=&=", "%ff%fe=%00", "mailbox=%zz"]
)
def test_malformed_form_gets_an_empty_answer(asterisk, mailbox, body):
    answer = asterisk.send_form("single", body)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("box", ["\x00{}", "{}\x00", "{}\x00x", " {}", "{}\n"])
def test_mailbox_with_extra_characters_is_not_found(asterisk, mailbox, box):
    answer = asterisk.single(box.format(mailbox.pk), "acme")
    assert (answer.status, answer.body) == (200, b"")


def test_deleted_mailbox_gets_an_empty_answer_until_it_is_restored(asterisk, mailbox):
    mailbox.soft_delete()
    assert asterisk.single(mailbox.pk, "acme").body == b""
    mailbox.restore()
    assert asterisk.mailbox(mailbox)["mailbox"] == str(mailbox.pk)


def test_mailbox_of_a_suspended_account_gets_an_empty_answer(mailbox, account):
    asterisk = Asterisk(engine_headers())
    account.suspend()
    assert asterisk.single(mailbox.pk, "acme").body == b""
    account.reactivate()
    assert asterisk.single(mailbox.pk, "acme").body != b""


def test_lookup_without_a_context_has_no_pass_code(asterisk, mailbox):
    """REALTIME_HASH(voicemail,mailbox,BOX) needs the context for VoiceMail().

    Asterisk writes the answer into its log, so it has no pass code.
    """
    found = parse_columns(asterisk.send_form("single", f"mailbox={mailbox.pk}").body)
    assert (found["mailbox"], found["context"]) == (str(mailbox.pk), "acme")
    assert found["password"] == "none"


@pytest.fixture
def customer(account):
    customer = Account.objects.create(name="customer", reseller=account)
    further = Account.objects.create(name="further", reseller=customer)
    return Mailbox.objects.create(account=further, name="Further")


def test_mailboxes_of_customers_are_found_at_any_depth(asterisk, customer):
    assert asterisk.mailbox(customer)["fullname"] == "Further"


def test_suspended_reseller_does_not_suspend_its_customers(account, customer):
    asterisk = Asterisk(engine_headers())
    account.suspend()
    assert asterisk.mailbox(customer)["fullname"] == "Further"


def test_mailboxes_of_reseller_and_stranger_are_not_found(mailbox, customer, stranger):
    for account in (customer.account, stranger):
        asterisk = Asterisk(engine_headers(account))
        assert asterisk.single(mailbox.pk, "acme").body == b""


def test_engine_for_all_accounts_finds_all_mailboxes(mailbox, stranger):
    theirs = Mailbox.objects.create(account=stranger, name="Theirs")
    asterisk = Asterisk(engine_headers())
    assert asterisk.mailbox(mailbox)["fullname"] == "Sales"
    assert asterisk.mailbox(theirs)["fullname"] == "Theirs"


@pytest.mark.parametrize("of_account", [True, False])
def test_lookup_costs_one_query_for_the_mailbox_and_one_for_the_credential(
    account, mailbox, django_assert_num_queries, of_account
):
    asterisk = Asterisk(engine_headers(account if of_account else None))
    asterisk.mailbox(mailbox)  # the first use in a minute is recorded
    with django_assert_num_queries(2):
        asterisk.single(mailbox.pk, "acme")
