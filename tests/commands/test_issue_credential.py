import json
import re
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from mailboxes.models import Account, ApiCredential
from tests.service import InProcess


def issue(*arguments):
    """What the command prints. It holds a secret, so that no failing test may show it."""
    printed = StringIO()
    call_command("issue_credential", *arguments, stdout=printed)
    return printed.getvalue()


def refusal(*arguments):
    """What the command says when it refuses; it must have changed nothing."""
    before = Account.objects.count(), ApiCredential.objects.count()
    with pytest.raises(CommandError) as refused:
        issue(*arguments)
    assert (Account.objects.count(), ApiCredential.objects.count()) == before
    return str(refused.value)


def test_headers_are_printed_and_serve(account):
    lines = issue("acme", "api").splitlines()
    headers = dict(line.split(": ") for line in lines)
    assert list(headers) == ["X-Auth-Reseller", "X-Auth-User", "X-Auth-Password"]
    service = InProcess(headers)
    assert service.get("/authenticated").status == 200


def test_json_is_all_that_is_printed(account):
    headers = json.loads(issue("acme", "api", "--json"))
    assert list(headers) == ["X-Auth-Reseller", "X-Auth-User", "X-Auth-Password"]
    service = InProcess(headers)
    assert service.get("/authenticated").status == 200


def test_secret_is_not_kept(account):
    secret = re.search("mbx_.+", issue("acme", "api"))[0]
    is_kept = secret in str(ApiCredential.objects.values().get())
    assert not is_kept


def test_create_account(db):
    issue("acme", "api", "--create-account")
    credential = ApiCredential.objects.get()
    assert (credential.account.name, credential.name) == ("acme", "api")


def test_create_account_takes_the_one_that_is_there(account):
    issue("acme", "api", "--create-account")
    assert Account.objects.get().credentials.count() == 1


def test_networks(account):
    issue("acme", "api", "--networks=192.0.2.0/24,2001:db8::/32")
    credential = ApiCredential.objects.get()
    assert credential.allows("192.0.2.7")
    assert credential.allows("2001:db8::7")
    assert not credential.allows("198.51.100.7")


@pytest.mark.parametrize(
    ("text", "expires_at"),
    [
        ("2997-01-31", datetime(2997, 1, 31, 23, 59, 59, 999999, UTC)),
        ("2997-01-31T12:00", datetime(2997, 1, 31, 12, tzinfo=UTC)),
        ("2997-01-31T12:00Z", datetime(2997, 1, 31, 12, tzinfo=UTC)),
        ("2997-01-31T12:00+01:00", datetime(2997, 1, 31, 11, tzinfo=UTC)),
    ],
)
def test_expiry(account, text, expires_at):
    issue("acme", "api", "--expires", text)
    assert ApiCredential.objects.get().expires_at == expires_at


def test_today_is_a_day_to_come(account):
    issue("acme", "api", "--expires", f"{timezone.now().date()}")
    assert ApiCredential.objects.get().is_usable


def test_unknown_account(db):
    assert refusal("acme", "api") == (
        "There is no account acme: name one that exists, or add --create-account to make it."
    )


@pytest.mark.parametrize("options", [[], ["--create-account"]])
@pytest.mark.parametrize("name", ["ab", "Acme", "a" * 65, "acme corp", "\udcff\udcff\udcff"])
def test_bad_account_name(db, name, options):
    assert "ACCOUNT: Use 3 to 64 lower-case letters" in refusal(name, "api", *options)


@pytest.mark.parametrize("name", ["a b", "a:b", "Zoë", "\udcff"])
def test_bad_credential_name(account, name):
    assert refusal("acme", name) == (
        "USER: Use 1 to 64 letters, digits or any of . _ @ + - (no spaces)."
    )


def test_name_already_used(account):
    issue("acme", "api")
    assert refusal("acme", "api") == (
        "USER: This account has a credential of that name already "
        "(a revoked one keeps its name): choose another."
    )


@pytest.mark.parametrize("networks", ["office", "192.0.2.7/24", "2001:db8::/129"])
def test_bad_network(account, networks):
    assert refusal("acme", "api", "--networks", networks) == (
        f"--networks: “{networks}” is not a network: "
        "write each as 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1."
    )


@pytest.mark.parametrize("text", ["", "soon", "2997-02-30", "31.1.2997", "9999-12-31T23:00-14:00"])
def test_unreadable_expiry(account, text):
    assert refusal("acme", "api", "--expires", text) == (
        "--expires: Write a date as 2027-01-31, or a date and time as 2027-01-31T12:00+01:00."
    )


def test_expiry_in_the_past(account):
    yesterday = timezone.now() - timedelta(days=1)
    for text in (f"{yesterday.date()}", yesterday.isoformat()):
        assert refusal("acme", "api", "--expires", text) == (
            "--expires: This time is past. Enter one in the future."
        )


def test_each_error_has_its_sentence(account):
    sentences = refusal("acme", "a b", "--networks=office").splitlines()
    assert [sentence.split(":")[0] for sentence in sentences] == ["USER", "--networks"]


def test_no_account_is_made_for_a_refused_credential(db):
    assert refusal("acme", "a b", "--create-account").startswith("USER: ")


def test_one_for_an_engine(account):
    user, password = issue("acme", "pbx", "--engine").splitlines()
    assert user == "User: pbx"
    secret = password.removeprefix("Password: ")
    credential = ApiCredential.objects.authenticate(secret, name="pbx", is_engine=True)
    assert credential.account == account


def test_one_for_an_engine_of_every_account(db):
    shown = json.loads(issue("-", "pbx", "--engine", "--json"))
    assert list(shown) == ["User", "Password"]
    credential = ApiCredential.objects.authenticate(
        shown["Password"], name=shown["User"], is_engine=True
    )
    assert credential.account is None


def test_only_an_engine_is_for_every_account(db):
    assert "ACCOUNT: Use 3 to 64 lower-case letters" in refusal("-", "api")
