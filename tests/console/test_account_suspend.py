"""Suspension and reactivation of an account."""

import pytest

from mailboxes.models import Account, ApiCredential, Mailbox
from tests.conftest import headers_for
from tests.console.pages import get_text, read_log
from tests.service import InProcess

SUSPEND = "/accounts/acme/suspend/"
REACTIVATE = "/accounts/acme/reactivate/"


@pytest.fixture
def beta(account):
    """Create a customer of acme."""
    return Account.objects.create(name="beta", reseller=account)


def is_active(account):
    account.refresh_from_db()
    return account.is_active


def test_suspend_page_lists_the_consequences(manager, account, beta):
    Mailbox.objects.create(account=account, name="Sales")
    ApiCredential.objects.issue(account, "pbx")
    ApiCredential.objects.issue(account, "old")
    ApiCredential.objects.get(name="old").revoke()
    page = get_text(manager.get(SUSPEND))
    assert "Its usable credential is refused at once: pbx" in page
    assert "old" not in page
    assert "The credentials of its customer still work." in page
    assert "Its mailbox is kept, but calls to it are rejected." in page
    assert "X-Auth-For" not in page  # it has no reseller
    assert "X-Auth-For" in get_text(manager.get("/accounts/beta/suspend/"))
    assert is_active(account)


def test_suspension_refuses_the_account_but_not_its_customers(manager, account, beta):
    """Its credentials and its resellers' calls for it are refused; its customers still call."""
    below = Account.objects.create(name="gamma", reseller=beta)
    calls = {
        name: InProcess(headers_for(of))
        for name, of in (("above", account), ("own", beta), ("below", below))
    }
    for_it = {"X-Auth-For": "beta"}
    manager.post("/accounts/beta/suspend/")
    assert calls["own"].get("/authenticated").status == 401
    assert calls["above"].get("/authenticated", headers=for_it).status == 403
    assert calls["above"].get("/authenticated").status == 200
    assert calls["below"].get("/authenticated").status == 200
    manager.post("/accounts/beta/reactivate/")
    assert calls["own"].get("/authenticated").status == 200
    assert calls["above"].get("/authenticated", headers=for_it).status == 200


def test_suspended_account_links_to_its_reactivation(manager, account):
    page = manager.post(SUSPEND, follow=True)
    assert not is_active(account)
    assert "Account acme is suspended: its credentials are refused." in get_text(page)
    assert f'href="{REACTIVATE}"' in page.content.decode()
    assert read_log() == [("manager", "acme", "Suspended.")]


def test_account_is_reactivated(manager, account):
    account.suspend()
    ApiCredential.objects.issue(account, "pbx")
    assert "Its credential works again at once: pbx" in get_text(manager.get(REACTIVATE))
    page = manager.post(REACTIVATE, follow=True)
    assert is_active(account)
    assert "Account acme is active" in get_text(page)
    assert f'href="{SUSPEND}"' in page.content.decode()
    assert read_log() == [("manager", "acme", "Reactivated.")]


def test_suspend_page_mentions_missing_credentials(manager, account):
    assert "It has no usable credential" in get_text(manager.get(SUSPEND))
    account.suspend()
    assert "issue one to let its programs call again" in get_text(manager.get(REACTIVATE))


def test_second_suspension_or_reactivation_is_not_logged(manager, account):
    assert manager.post(REACTIVATE).headers["Location"] == "/accounts/acme/"
    account.suspend()
    assert manager.post(SUSPEND).headers["Location"] == "/accounts/acme/"
    assert read_log() == []


def test_viewer_sees_the_suspension_without_a_link(viewer, account):
    account.suspend()
    page = viewer.get("/accounts/acme/")
    assert "This account is suspended" in get_text(page)
    assert REACTIVATE not in page.content.decode()


def test_unknown_account_is_not_found(manager, db):
    assert manager.post(SUSPEND).status_code == 404
