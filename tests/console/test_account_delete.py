"""Deletion of an account."""

import pytest

from mailboxes.models import Account, ApiCredential, Mailbox, WebhookEndpoint
from tests.conftest import headers_for
from tests.console.pages import get_text, read_log
from tests.delivery.webhooks import create_webhook
from tests.service import InProcess
from tests.sounds import create_sound

DELETE = "/accounts/acme/delete/"


def test_account_that_had_a_credential_is_deleted(manager, account):
    headers = headers_for(account)
    api = InProcess(headers)
    assert api.get("/voip/mailbox").status == 200
    ApiCredential.objects.issue(account, "old")
    ApiCredential.objects.get(name="old").revoke()
    assert f'href="{DELETE}"' in manager.get("/accounts/acme/").text
    page = get_text(manager.get(DELETE))
    assert "Its 2 credentials are removed, and refused at once:" in page
    assert "old" in page
    assert Account.objects.exists()
    assert "Account acme was deleted." in get_text(manager.post(DELETE, follow=True))
    assert not Account.objects.exists()
    assert not ApiCredential.objects.exists()
    assert api.get("/voip/mailbox").status == 401
    assert read_log() == [("manager", "acme", "")]


def test_webhooks_are_deleted_with_their_account(manager, account):
    create_webhook(account)
    assert "Its webhook is removed" in get_text(manager.get(DELETE))
    manager.post(DELETE)
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize("is_deleted", [False, True])
def test_account_with_a_mailbox_is_kept(manager, account, is_deleted):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    if is_deleted:
        mailbox.soft_delete()
    assert_kept(manager, "Deleted ones count until they are removed for good, after 30 days.")


@pytest.mark.parametrize("is_deleted", [False, True])
def test_account_with_a_greeting_is_kept(manager, account, is_deleted):
    sound = create_sound(account)
    if is_deleted:
        sound.soft_delete()
    assert_kept(manager, "It has greetings. Deleted ones count until they are removed for good")


def test_account_with_a_customer_is_kept(manager, account):
    Account.objects.create(name="beta", reseller=account)
    assert_kept(manager, "It has customers.")


def test_account_whose_credential_changed_a_mailbox_is_kept(manager, account, stranger):
    """Its history would otherwise name nobody."""
    customer = Account.objects.create(name="beta", reseller=account)
    api = InProcess(headers_for(account))
    api.post("/voip/mailbox", {"name": "Sales"}, headers={"X-Auth-For": "beta"})
    Account.objects.filter(pk=customer.pk).update(reseller=stranger)
    assert_kept(manager, "Its credentials have changed mailboxes or greetings of other")


def assert_kept(manager, reason):
    for page in (manager.get(DELETE), manager.post(DELETE)):
        assert "This account cannot be deleted:" in get_text(page)
        assert reason in get_text(page)
    assert Account.objects.filter(name="acme").exists()
    assert read_log() == []


def test_support_may_not_delete(support, account):
    assert support.post(DELETE).status_code == 403
    assert DELETE not in support.get("/accounts/acme/").text
    assert Account.objects.exists()
