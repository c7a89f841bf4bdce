"""A pass code changed by telephone: `POST …/update?&context=CONTEXTmailbox=BOX`.

The body is `&password=2468`.
"""

from uuid import UUID

import pytest

from mailboxes.history import HistoryPage
from mailboxes.models import Account, ApiCredential, Mailbox
from tests.conftest import headers_for
from tests.engines.engine import Asterisk, encode_form, engine_headers
from tests.service import InProcess


def pass_code(mailbox):
    return Mailbox.objects.get(pk=mailbox.pk).password


def is_refused(answer):
    """Return True for a refusal. It is never empty: Asterisk would read past its end."""
    return (answer.status, answer.body) == (200, b"0")


def test_pass_code_is_stored(asterisk, mailbox):
    answer = asterisk.update(mailbox.pk, "acme", "2468")
    assert (answer.status, answer.body) == (200, b"1")
    assert pass_code(mailbox) == "2468"


def test_pass_code_that_no_key_decrypts_is_replaced(asterisk, mailbox):
    Mailbox.objects.update(password_sealed="0badf00d:AAAA")
    assert asterisk.update(mailbox.pk, "acme", "2468").body == b"1"
    assert pass_code(mailbox) == "2468"


def test_api_shows_the_pass_code_and_history_names_the_engine(asterisk, mailbox, account):
    asterisk.update(mailbox.pk, "acme", "2468")
    api = InProcess(headers_for(account))
    answer = api.get(f"/voip/mailbox/{mailbox.pk}")
    assert answer.result["password"] == "2468"
    assert answer.headers["etag"] == '"4"'  # creation, two recipients, this change
    last = api.get(f"/voip/mailbox/{mailbox.pk}/history").result[0]
    assert last["by"] == {"account": "acme", "credential": "pbx", "kind": "engine"}
    assert (last["before"], last["after"]) == ({"password": "••••"}, {"password": "••••"})


def test_history_names_an_engine_for_all_accounts(mailbox, account):
    Asterisk(engine_headers()).update(mailbox.pk, "acme", "2468")
    api = InProcess(headers_for(account))
    last = api.get(f"/voip/mailbox/{mailbox.pk}/history").result[0]
    assert last["by"] == {"account": None, "credential": "pbx", "kind": "engine"}


@pytest.mark.parametrize("name", ["mailbox", "mailboxmailbox", "x-mailbox"])
def test_account_called_mailbox_is_understood(db, name):
    """The last `mailbox=` marks the place of the missing `&`."""
    account = Account.objects.create(name=name)
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    assert Asterisk(engine_headers(account)).update(mailbox.pk, name, "2468").body == b"1"
    assert pass_code(mailbox) == "2468"


@pytest.mark.parametrize("query", ["?context=acme&mailbox={}", "?mailbox={}&context=acme"])
def test_correct_form_is_accepted_too(asterisk, mailbox, query):
    asterisk.send_form(f"update{query.format(mailbox.pk)}", "password=2468")
    assert pass_code(mailbox) == "2468"


def test_same_pass_code_again_is_a_change(asterisk, mailbox):
    before = mailbox.history.count()
    assert asterisk.update(mailbox.pk, "acme", "4829").body == b"1"
    assert pass_code(mailbox) == "4829"
    assert mailbox.history.count() == before + 1


@pytest.mark.parametrize("code", ["", "1", "12345", "12a4", "١٢٣٤", "1*34", "-123", "\x00", "&a=b"])
def test_malformed_pass_code_is_refused(asterisk, mailbox, code):
    assert is_refused(asterisk.update(mailbox.pk, "acme", code))
    assert pass_code(mailbox) == "4829"
    assert len(HistoryPage(mailbox, 10).changes) == 3


def test_weak_pass_code_is_refused_if_the_policy_rejects(asterisk, mailbox, settings, caplog):
    settings.PASS_CODE_POLICY = "reject"
    assert is_refused(asterisk.update(mailbox.pk, "acme", "1234"))
    assert pass_code(mailbox) == "4829"
    assert "Refused to change a pass code by telephone, with status 400." in caplog.text
    assert "1234" not in caplog.text


def test_weak_pass_code_is_accepted_if_the_policy_warns(asterisk, mailbox):
    assert asterisk.update(mailbox.pk, "acme", "1234").body == b"1"
    assert Mailbox.objects.get().password_is_weak


@pytest.mark.parametrize(
    "context", ["stranger", "", "acme ", "ac\x00me", "a=b&c", "]]>", "%", "\n", "\U0001f4de"]
)
def test_mailbox_in_another_context_is_not_changed(asterisk, mailbox, stranger, context):
    assert is_refused(asterisk.update(mailbox.pk, context, "2468"))
    assert pass_code(mailbox) == "4829"


@pytest.mark.parametrize(
    "box", [UUID(int=1), "2001", "", "a=b&c", "]]>", "%", "\n", "\"'", "\U0001f4de"]
)
def test_unknown_mailbox_is_refused(asterisk, mailbox, box):
    assert is_refused(asterisk.update(box, "acme", "2468"))


def test_mailbox_of_another_account_is_not_changed(mailbox, stranger):
    assert is_refused(Asterisk(engine_headers(stranger)).update(mailbox.pk, "acme", "2468"))
    assert pass_code(mailbox) == "4829"


def test_deleted_mailbox_or_suspended_account_is_not_changed(mailbox, account):
    asterisk = Asterisk(engine_headers())
    account.suspend()
    assert is_refused(asterisk.update(mailbox.pk, "acme", "2468"))
    account.reactivate()
    mailbox.soft_delete()
    assert is_refused(asterisk.update(mailbox.pk, "acme", "2468"))
    assert pass_code(mailbox) == "4829"


def test_other_columns_are_not_written(asterisk, mailbox):
    query = f"update?{encode_form(context='acme', mailbox=mailbox.pk)}"
    assert is_refused(asterisk.send_form(query, "fullname=Mallory&email=mallory%40evil.example"))
    mailbox.refresh_from_db()
    assert mailbox.name == "Sales"


def test_update_with_a_revoked_credential_is_refused_with_0(asterisk, mailbox):
    ApiCredential.objects.get().revoke()
    assert is_refused(asterisk.update(mailbox.pk, "acme", "2468"))
    assert pass_code(mailbox) == "4829"
