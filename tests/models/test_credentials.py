"""Credentials: secret, name, networks and expiry."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from mailboxes.models import Account, ApiCredential

pytestmark = pytest.mark.django_db


def test_credential_is_found_by_its_secret_and_names(account):
    credential, secret = ApiCredential.objects.issue(account, "api")
    assert ApiCredential.objects.authenticate(secret, "acme", "api") == credential
    assert ApiCredential.objects.authenticate(secret) == credential
    assert ApiCredential.objects.authenticate(secret, "acme", "other") is None
    assert ApiCredential.objects.authenticate(secret + "x", "acme", "api") is None


def test_secret_has_256_bits_and_is_unique(account):
    secrets = {ApiCredential.make_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(secret) for secret in secrets} == {len("mbx_") + 43}


def test_name_is_unique_in_an_account(account, stranger):
    ApiCredential.objects.issue(account, "api")
    ApiCredential.objects.issue(stranger, "api")
    with pytest.raises(ValidationError, match="has a credential of that name already"):
        ApiCredential.objects.issue(account, "api")
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiCredential.objects.create(account=account, name="api", secret_sha256="x")


def test_second_revocation_keeps_the_first_time(account):
    credential, secret = ApiCredential.objects.issue(account, "api")
    credential.revoke()
    first = credential.revoked_at
    credential.revoke()
    assert ApiCredential.objects.get().revoked_at == first
    assert ApiCredential.objects.authenticate(secret) is None


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ("", "203.0.113.9", True),
        ("203.0.113.0/24", "203.0.113.9", True),
        ("203.0.113.0/24", "203.0.114.9", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "203.0.113.9", False),
        ("203.0.113.0/24", "", False),
        ("203.0.113.0/24", "nonsense", False),
    ],
)
def test_credential_is_usable_from_its_networks_only(networks, address, allowed):
    assert ApiCredential(networks=networks).allows(address) is allowed


def test_credential_is_unusable_from_its_expiry_on(account):
    soon = timezone.now() + timedelta(minutes=1)
    credential, _ = ApiCredential.objects.issue(account, "api", expires_at=soon)
    assert credential.is_usable
    credential.expires_at = timezone.now()
    assert not credential.is_usable


def test_expiry_in_the_past_is_refused(account):
    with pytest.raises(ValidationError, match="This time is past"):
        ApiCredential.objects.issue(account, "api", expires_at=timezone.now())


def test_engine_that_sends_mails_does_so_for_the_mailboxes_that_it_reads(account, stranger):
    reseller = Account.objects.create(name="reseller")
    account.reseller = reseller
    account.save()
    customer = Account.objects.create(name="customer", reseller=account)
    engines = {"is_engine": True, "sends_mail": True}
    ApiCredential.objects.issue(account, "silent", is_engine=True)

    def list_accounts():
        accounts = [reseller, account, customer, stranger]
        return [each.name for each in accounts if ApiCredential.objects.mails_for(each).exists()]

    assert list_accounts() == []
    credential, _ = ApiCredential.objects.issue(account, "pbx", **engines)
    assert list_accounts() == ["acme", "customer"]
    credential.revoke()
    assert list_accounts() == []
    ApiCredential.objects.issue(None, "pbx", **engines)
    assert list_accounts() == ["reseller", "acme", "customer", "stranger"]


def test_program_that_sends_mails_is_refused(account):
    with pytest.raises(ValidationError) as refused:
        ApiCredential.objects.issue(account, "api", sends_mail=True)
    assert list(refused.value.message_dict) == ["sends_mail"]
