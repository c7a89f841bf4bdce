"""A pass code changed by telephone: `POST …/update?&context=CONTEXTmailbox=BOX`, body `&password=2468`."""

from uuid import UUID

import pytest

from mailboxes.history import changes
from mailboxes.models import Account, ApiCredential, Mailbox
from tests.conftest import headers_for
from tests.engines.engine import Asterisk, encoded, engine_headers
from tests.service import InProcess


def pass_code(mailbox):
    return Mailbox.objects.get(pk=mailbox.pk).password


def refused(answer):
    """Never empty: Asterisk would read on past the end of it."""
    return (answer.status, answer.body) == (200, b"0")


def test_it_is_kept(asterisk, mailbox):
    answer = asterisk.update(mailbox.pk, "acme", "2468")
    assert (answer.status, answer.body) == (200, b"1")
    assert pass_code(mailbox) == "2468"


def test_it_takes_the_place_of_one_that_no_key_opens(asterisk, mailbox):
    Mailbox.objects.update(password_sealed="0badf00d:AAAA")
    assert asterisk.update(mailbox.pk, "acme", "2468").body == b"1"
    assert pass_code(mailbox) == "2468"


def test_the_api_shows_it_and_history_says_who(asterisk, mailbox, account):
    asterisk.update(mailbox.pk, "acme", "2468")
    api = InProcess(headers_for(account))
    answer = api.get(f"/voip/mailbox/{mailbox.pk}")
    assert answer.result["password"] == "2468"
    assert answer.headers["etag"] == '"4"'  # made, two recipients, this
    last = api.get(f"/voip/mailbox/{mailbox.pk}/history").result[0]
    assert last["by"] == {"account": "acme", "credential": "pbx", "kind": "engine"}
    assert (last["before"], last["after"]) == ({"password": "••••"}, {"password": "••••"})


def test_an_engine_of_every_account_is_named_too(mailbox, account):
    Asterisk(engine_headers()).update(mailbox.pk, "acme", "2468")
    api = InProcess(headers_for(account))
    last = api.get(f"/voip/mailbox/{mailbox.pk}/history").result[0]
    assert last["by"] == {"account": None, "credential": "pbx", "kind": "engine"}


@pytest.mark.parametrize("name", ["mailbox", "mailboxmailbox", "x-mailbox"])
def test_an_account_may_be_called_mailbox(db, name):
    """Where the missing `&` was is told by the last `mailbox=`."""
    account = Account.objects.create(name=name)
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    assert Asterisk(engine_headers(account)).update(mailbox.pk, name, "2468").body == b"1"
    assert pass_code(mailbox) == "2468"


@pytest.mark.parametrize("query", ["?context=acme&mailbox={}", "?mailbox={}&context=acme"])
def test_it_is_taken_as_it_should_be_sent_too(asterisk, mailbox, query):
    asterisk.ask(f"update{query.format(mailbox.pk)}", "password=2468")
    assert pass_code(mailbox) == "2468"


def test_the_same_again_is_no_change(asterisk, mailbox):
    before = mailbox.history.count()
    assert asterisk.update(mailbox.pk, "acme", "4829").body == b"1"
    assert mailbox.history.count() == before


@pytest.mark.parametrize("code", ["", "1", "12345", "12a4", "١٢٣٤", "1*34", "-123", "\x00", "&a=b"])
def test_what_is_no_pass_code_is_refused(asterisk, mailbox, code):
    assert refused(asterisk.update(mailbox.pk, "acme", code))
    assert pass_code(mailbox) == "4829"
    assert len(changes(mailbox)) == 3


def test_a_weak_one_is_refused_where_the_policy_rejects(asterisk, mailbox, settings, caplog):
    settings.PASS_CODE_POLICY = "reject"
    assert refused(asterisk.update(mailbox.pk, "acme", "1234"))
    assert pass_code(mailbox) == "4829"
    assert "A pass code was not changed by telephone: 400." in caplog.text
    assert "1234" not in caplog.text


def test_and_taken_where_it_warns(asterisk, mailbox):
    assert asterisk.update(mailbox.pk, "acme", "1234").body == b"1"
    assert Mailbox.objects.get().password_is_weak


@pytest.mark.parametrize(
    "context", ["stranger", "", "acme ", "ac\x00me", "a=b&c", "]]>", "%", "\n", "\U0001f4de"]
)
def test_nothing_changes_in_another_context(asterisk, mailbox, stranger, context):
    assert refused(asterisk.update(mailbox.pk, context, "2468"))
    assert pass_code(mailbox) == "4829"


@pytest.mark.parametrize(
    "box", [UUID(int=1), "2001", "", "a=b&c", "]]>", "%", "\n", "\"'", "\U0001f4de"]
)
def test_nor_in_a_mailbox_that_is_none(asterisk, mailbox, box):
    assert refused(asterisk.update(box, "acme", "2468"))


def test_nor_in_anothers(mailbox, stranger):
    assert refused(Asterisk(engine_headers(stranger)).update(mailbox.pk, "acme", "2468"))
    assert pass_code(mailbox) == "4829"


def test_nor_in_a_deleted_one_or_that_of_a_suspended_account(mailbox, account):
    asterisk = Asterisk(engine_headers())
    account.suspend()
    assert refused(asterisk.update(mailbox.pk, "acme", "2468"))
    account.reactivate()
    mailbox.soft_delete()
    assert refused(asterisk.update(mailbox.pk, "acme", "2468"))
    assert pass_code(mailbox) == "4829"


def test_another_column_is_not_written(asterisk, mailbox):
    query = f"update?{encoded(context='acme', mailbox=mailbox.pk)}"
    assert refused(asterisk.ask(query, "fullname=Mallory&email=mallory%40evil.example"))
    mailbox.refresh_from_db()
    assert mailbox.name == "Sales"


def test_without_a_good_credential_the_answer_is_no_number_but_0(asterisk, mailbox):
    ApiCredential.objects.get().revoke()
    assert refused(asterisk.update(mailbox.pk, "acme", "2468"))
    assert pass_code(mailbox) == "4829"
