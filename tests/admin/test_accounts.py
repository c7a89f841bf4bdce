"""Accounts in the admin."""

import pytest

from mailboxes.models import Account
from tests.admin.browser import get_errors, read_log

INDENT = "\N{NO-BREAK SPACE}" * 6


@pytest.fixture
def tree(account):
    """Create the reseller acme, its customer beta and beta's customer zeta."""
    beta = Account.objects.create(name="beta", reseller=account)
    return account, beta, Account.objects.create(name="zeta", reseller=beta)


def list_names(page):
    return [account.name for account in page.context["cl"].result_list]


def test_account_is_added(staff):
    staff.save("account_add", name="acme", contact_name="Ann")
    account = Account.objects.get()
    assert (account.name, account.contact_name, account.is_active) == ("acme", "Ann", True)


def test_days_that_messages_are_kept_are_changed(staff, account):
    staff.save("account_change", account.pk, message_days="30", removes_unheard="on")
    account.refresh_from_db()
    assert (account.message_days, account.removes_unheard) == (30, True)


def test_reseller_is_changed(staff, tree):
    acme, _, zeta = tree
    staff.save("account_change", zeta.pk, reseller=acme.pk)
    zeta.refresh_from_db()
    assert zeta.reseller == acme


def test_reseller_changed_meanwhile_is_not_overwritten(staff, tree, stranger):
    acme, beta, zeta = tree
    Account.objects.filter(pk=zeta.pk).update(reseller=stranger)
    first = {"initial-reseller": beta.pk, "initial-contact_name": ""}
    page = staff.press("account_change", zeta.pk, **first, reseller=acme.pk)
    assert get_errors(page) == {
        "reseller": ["This was changed to “stranger” meanwhile. Save again to replace it."]
    }
    first["initial-reseller"] = stranger.pk
    staff.press("account_change", zeta.pk, **first, reseller=acme.pk)
    zeta.refresh_from_db()
    assert zeta.reseller == acme


def test_name_cannot_be_changed(staff, account):
    staff.save("account_change", account.pk, name="other", contact_name="Ann")
    account.refresh_from_db()
    assert (account.name, account.contact_name) == ("acme", "Ann")


def test_list_shows_customers_below_their_reseller(staff, tree, stranger):
    Account.objects.create(name="acme-2")
    page = staff.open("account_changelist")
    assert list_names(page) == ["acme", "beta", "zeta", "acme-2", "stranger"]
    for name, depth in (("acme", 0), ("beta", 1), ("zeta", 2)):
        assert ">" + INDENT * depth + name + "<" in page.text


def test_search_and_filter_narrow_the_list(staff, tree):
    Account.objects.filter(name="beta").update(contact_name="Ann", is_active=False)
    assert list_names(staff.open("account_changelist", q="eta")) == ["beta", "zeta"]
    assert list_names(staff.open("account_changelist", q="änn beta")) == ["beta"]
    assert list_names(staff.open("account_changelist", is_active__exact=1)) == ["acme", "zeta"]


def test_invalid_name_is_refused_and_input_kept(staff):
    page = staff.save("account_add", name="Acme Ltd", contact_name="Ann")
    assert set(get_errors(page)) == {"name"}
    assert 'value="Acme Ltd"' in page.text
    assert not Account.objects.exists()


def test_duplicate_name_is_refused(staff, account):
    assert set(get_errors(staff.save("account_add", name="acme"))) == {"name"}


def test_reseller_loop_is_refused_and_input_kept(staff, tree):
    acme, _, zeta = tree
    page = staff.save("account_change", acme.pk, reseller=zeta.pk, contact_name="Ann")
    assert get_errors(page)["reseller"] == [
        "zeta is this account or its customer, so it cannot be its reseller."
    ]
    assert 'value="Ann"' in page.text


def test_actions_suspend_and_reactivate_accounts(staff, tree):
    acme, beta, _ = tree
    staff.run_action("account_changelist", "suspend", acme, beta)
    assert list_names(staff.open("account_changelist", is_active__exact=0)) == ["acme", "beta"]
    staff.run_action("account_changelist", "reactivate", acme, beta)
    assert list_names(staff.open("account_changelist", is_active__exact=0)) == []
    assert read_log() == ["Suspended.", "Suspended.", "Reactivated.", "Reactivated."]


def test_second_suspension_is_not_logged(staff, account):
    account.suspend()
    staff.run_action("account_changelist", "suspend", account)
    assert read_log() == []


def test_empty_account_is_deleted(staff, account):
    staff.press("account_delete", account.pk, post="yes")
    assert not Account.objects.exists()


def test_account_that_had_a_credential_is_deleted(staff, account, credential):
    credential.revoke()
    assert "acme: api" in staff.open("account_delete", account.pk).text
    staff.press("account_delete", account.pk, post="yes")
    assert not Account.objects.exists()


@pytest.mark.parametrize("fixture", ["mailbox", "tree"])
def test_account_in_use_leads_to_the_reasons_to_keep_it(staff, account, fixture, request):
    request.getfixturevalue(fixture)
    answer = staff.press("account_delete", account.pk, post="yes")
    assert answer.url == "/accounts/acme/delete/"
    assert "This account cannot be deleted" in staff.get(answer.url).text
    assert Account.objects.filter(pk=account.pk).exists()


def test_accounts_cannot_be_deleted_in_bulk(staff, tree):
    staff.run_action("account_changelist", "delete_selected", *tree, post="yes")
    assert Account.objects.count() == 3
