"""The `issue_credential` command."""

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
    """Return what the command prints. It holds a secret: no assertion may print it."""
    printed = StringIO()
    call_command("issue_credential", *arguments, stdout=printed)
    return printed.getvalue()


def refusal(*arguments):
    """Return the command's error, and check that it changed nothing."""
    before = Account.objects.count(), ApiCredential.objects.count()
    with pytest.raises(CommandError) as refused:
        issue(*arguments)
    assert (Account.objects.count(), ApiCredential.objects.count()) == before
    return str(refused.value)


def test_printed_headers_are_accepted_by_the_api(account):
    lines = issue("acme", "api").splitlines()
    headers = dict(line.split(": ") for line in lines)
    assert list(headers) == ["X-Auth-Reseller", "X-Auth-User", "X-Auth-Password"]
    service = InProcess(headers)
    assert service.get("/authenticated").status == 200


def test_json_output_is_only_json(account):
    headers = json.loads(issue("acme", "api", "--json"))
    assert list(headers) == ["X-Auth-Reseller", "X-Auth-User", "X-Auth-Password"]
    service = InProcess(headers)
    assert service.get("/authenticated").status == 200


def test_secret_is_not_stored(account):
    secret = re.search("mbx_.+", issue("acme", "api"))[0]
    is_stored = secret in str(ApiCredential.objects.values().get())
    assert not is_stored


def test_create_account_makes_a_new_account(db):
    issue("acme", "api", "--create-account")
    credential = ApiCredential.objects.get()
    assert (credential.account.name, credential.name) == ("acme", "api")


def test_create_account_uses_an_existing_account(account):
    issue("acme", "api", "--create-account")
    assert Account.objects.get().credentials.count() == 1


def test_networks_limit_the_credential(account):
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
def test_expiry_is_the_end_of_a_day_or_a_time(account, text, expires_at):
    issue("acme", "api", "--expires", text)
    assert ApiCredential.objects.get().expires_at == expires_at


def test_expiry_today_is_accepted(account):
    issue("acme", "api", "--expires", f"{timezone.now().date()}")
    assert ApiCredential.objects.get().is_usable


def test_unknown_account_is_refused(db):
    assert refusal("acme", "api") == (
        "There is no account acme: name one that exists, or add --create-account to create it."
    )


@pytest.mark.parametrize("options", [[], ["--create-account"]])
@pytest.mark.parametrize("name", ["ab", "Acme", "a" * 65, "acme corp", "\udcff\udcff\udcff"])
def test_bad_account_name_is_refused(db, name, options):
    assert "ACCOUNT: Use 3 to 64 lower-case letters" in refusal(name, "api", *options)


@pytest.mark.parametrize("name", ["a b", "a:b", "Zoë", "\udcff"])
def test_bad_credential_name_is_refused(account, name):
    assert refusal("acme", name) == (
        "USER: Use 1 to 64 letters, digits or any of . _ @ + - (no spaces)."
    )


def test_name_already_used_is_refused(account):
    issue("acme", "api")
    assert refusal("acme", "api") == (
        "USER: This account has a credential of that name already "
        "(a revoked one keeps its name): choose another."
    )


@pytest.mark.parametrize("networks", ["office", "192.0.2.7/24", "2001:db8::/129"])
def test_bad_network_is_refused(account, networks):
    assert refusal("acme", "api", "--networks", networks) == (
        f"--networks: “{networks}” is not a network: "
        "write each as 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1."
    )


@pytest.mark.parametrize("text", ["", "soon", "2997-02-30", "31.1.2997", "9999-12-31T23:00-14:00"])
def test_unreadable_expiry_is_refused(account, text):
    assert refusal("acme", "api", "--expires", text) == (
        "--expires: Write a date as 2027-01-31, or a date and time as 2027-01-31T12:00+01:00."
    )


def test_expiry_in_the_past_is_refused(account):
    yesterday = timezone.now() - timedelta(days=1)
    for text in (f"{yesterday.date()}", yesterday.isoformat()):
        assert refusal("acme", "api", "--expires", text) == (
            "--expires: This time is past. Enter one in the future."
        )


def test_each_error_has_its_own_line(account):
    sentences = refusal("acme", "a b", "--networks=office").splitlines()
    assert [sentence.split(":")[0] for sentence in sentences] == ["USER", "--networks"]


def test_refused_credential_creates_no_account(db):
    assert refusal("acme", "a b", "--create-account").startswith("USER: ")


def test_engine_credential_is_issued(account):
    user, password = issue("acme", "pbx", "--engine").splitlines()
    assert user == "User: pbx"
    secret = password.removeprefix("Password: ")
    credential = ApiCredential.objects.authenticate(secret, name="pbx", is_engine=True)
    assert credential.account == account


def test_engine_credential_for_all_accounts_is_issued(db):
    printed = json.loads(issue("-", "pbx", "--engine", "--json"))
    assert list(printed) == ["User", "Password"]
    credential = ApiCredential.objects.authenticate(
        printed["Password"], name=printed["User"], is_engine=True
    )
    assert credential.account is None


def test_api_credential_for_all_accounts_is_refused(db):
    assert "ACCOUNT: Use 3 to 64 lower-case letters" in refusal("-", "api")


def test_credential_notes_that_its_engine_sends_mails(db):
    issue("-", "pbx", "--engine", "--sends-mail")
    assert ApiCredential.objects.get().sends_mail


def test_program_that_sends_mails_is_refused(account):
    assert refusal("acme", "api", "--sends-mail").startswith(
        "--sends-mail: Only a telephone engine"
    )
