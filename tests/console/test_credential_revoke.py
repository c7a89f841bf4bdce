"""Revoke a credential."""

import pytest

from mailboxes.models import Account, ApiCredential
from tests.conftest import headers_for
from tests.console.pages import get_text, read_log
from tests.service import InProcess


@pytest.fixture
def pbx(account):
    """Return the service, called with the credential `pbx`."""
    return InProcess(headers_for(account, "pbx"))


@pytest.fixture
def credential(pbx):
    return ApiCredential.objects.get(name="pbx")


@pytest.fixture
def revoke(credential):
    return f"/accounts/acme/credentials/{credential.pk}/revoke/"


def test_page_lists_the_consequences(manager, account, credential, revoke):
    page = get_text(manager.get(revoke))
    assert "Every program that uses pbx" in page
    assert credential.prefix in page
    assert "no longer manage the mailboxes of acme." in page
    assert "It was never used." in page


def test_page_of_an_engine_credential_mentions_telephone_calls(manager, account):
    engine, _ = ApiCredential.objects.issue(account, "asterisk", is_engine=True)
    page = get_text(manager.get(f"/accounts/acme/credentials/{engine.pk}/revoke/"))
    assert "Every telephone engine that uses asterisk" in page
    assert "it rejects calls to the mailboxes of acme and its customers." in page
    assert "program" not in page.partition("A revoked credential")[0]


def test_page_mentions_customers_and_last_use(manager, account, revoke, pbx):
    Account.objects.create(name="beta", reseller=account)
    pbx.get("/authenticated")
    page = get_text(manager.get(revoke))
    assert "no longer manage the mailboxes of acme and of its customer." in page
    assert "It was last used:" in page


def test_revoked_credential_is_refused_at_once(manager, pbx, revoke):
    assert pbx.get("/authenticated").status == 200
    page = manager.post(revoke, follow=True)
    assert pbx.get("/authenticated").status == 401
    assert page.request["PATH_INFO"] == "/accounts/acme/"
    assert "Credential “pbx” was revoked: calls with it are refused." in get_text(page)
    assert page.context["credentials"][0].state.label == "Revoked"
    assert read_log() == [("manager", "acme: pbx", "Revoked.")]


def test_second_revocation_is_not_logged(manager, credential, revoke):
    credential.revoke()
    assert manager.get(revoke).headers["Location"] == "/accounts/acme/"
    assert manager.post(revoke).headers["Location"] == "/accounts/acme/"
    moment = credential.revoked_at
    credential.refresh_from_db()
    assert credential.revoked_at == moment
    assert read_log() == []


def test_credential_of_another_account_is_not_found(manager, credential, stranger, pbx):
    address = f"/accounts/stranger/credentials/{credential.pk}/revoke/"
    assert manager.post(address).status_code == 404
    assert pbx.get("/authenticated").status == 200
