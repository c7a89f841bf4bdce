from datetime import timedelta

import pytest
from django.utils import timezone

from mailboxes.models import Account, ApiCredential, Mailbox
from tests.console.conftest import staff
from tests.console.pages import read, words


@pytest.fixture
def tree(account):
    beta = Account.objects.create(name="beta", contact_name="Ann Adams", reseller=account)
    return account, beta, Account.objects.create(name="zeta", reseller=beta)


def test_shows_its_contact_and_its_place(viewer, tree):
    page = viewer.get("/accounts/zeta/")
    assert "Accounts / acme / beta zeta" in words(page)
    assert "Ann Adams" in words(viewer.get("/accounts/beta/"))
    assert "Contact not set" in words(page)


def test_lists_its_own_customers_and_leads_to_all(viewer, tree):
    page = viewer.get("/accounts/acme/")
    assert [row.name for row in page.context["customers"]] == ["beta"]
    assert "All 2, including customers of customers" in words(page)
    assert 'href="/accounts/acme/customers/"' in page.content.decode()


def test_counts_its_mailboxes_with_and_without_its_customers(viewer, tree):
    for account in tree:
        Mailbox.objects.create(account=account, name="Sales")
    Mailbox.objects.create(account=tree[0], name="Gone").soft_delete()
    page = viewer.get("/accounts/acme/")
    assert "1 of this account · 3 including its customers" in words(page)
    assert 'href="/?account=acme"' in page.content.decode()
    assert 'href="/?account=acme&amp;customers=on"' in page.content.decode()


def test_names_the_mailboxes_that_changed_last(viewer, account):
    for number in range(7):
        Mailbox.objects.create(account=account, name=f"Desk {number}")
    Mailbox.objects.get(name="Desk 0").save()
    shown = [mailbox.name for mailbox in viewer.get("/accounts/acme/").context["latest_mailboxes"]]
    assert shown == ["Desk 0", "Desk 6", "Desk 5", "Desk 4", "Desk 3"]


def test_says_of_each_credential_whether_it_works_and_why_not(viewer, account):
    for name in ("api", "expired", "revoked"):
        ApiCredential.objects.issue(account, name)
    ApiCredential.objects.get(name="revoked").revoke()
    past = timezone.now() - timedelta(days=1)
    ApiCredential.objects.filter(name="expired").update(expires_at=past, networks="192.0.2.0/24")

    def states():
        page = viewer.get("/accounts/acme/")
        return [(row.name, row.state.label) for row in page.context["credentials"]]

    assert states() == [("api", "Usable"), ("expired", "Expired"), ("revoked", "Revoked")]
    page = words(viewer.get("/accounts/acme/"))
    assert "192.0.2.0/24" in page
    assert ApiCredential.objects.get(name="api").prefix in page
    account.suspend()
    assert states()[0] == ("api", "Account suspended")


def test_a_viewer_is_shown_nothing_to_change(viewer, manager, account):
    ApiCredential.objects.issue(account, "api")
    seen_by_viewer, seen_by_manager = (
        words(browser.get("/accounts/acme/")) for browser in (viewer, manager)
    )
    for verb in ("Edit", "Suspend", "Revoke", "Issue", "New customer"):
        assert verb in seen_by_manager
        assert verb not in seen_by_viewer


def test_tells_an_engines_credential_from_a_programs(viewer, account):
    ApiCredential.objects.issue(account, "api")
    assert "telephone engine" not in read(viewer, "/accounts/acme/")
    ApiCredential.objects.issue(account, "asterisk", is_engine=True)
    assert "asterisk telephone engine" in words(viewer.get("/accounts/acme/"))


def test_a_revoked_credential_is_not_changed_any_more(manager, account):
    credential, _ = ApiCredential.objects.issue(account, "api")
    credential.revoke()
    assert f"/credentials/{credential.pk}/" not in read(manager, "/accounts/acme/")


def test_shows_only_what_one_may_see(account):
    ApiCredential.objects.issue(account, "pbx")
    Mailbox.objects.create(account=account, name="Sales")
    page = words(staff("view_account").get("/accounts/acme/"))
    assert "pbx" not in page
    assert "Sales" not in page


def test_empty_says_what_to_do_next(manager, account):
    page = words(manager.get("/accounts/acme/"))
    assert "A program needs one to call the API for acme." in page
    assert "Staff create them here, programs through the API" in page


def test_leads_to_a_new_mailbox_of_its_own(support, viewer, account):
    assert 'href="/mailboxes/new/?account=acme"' in support.get("/accounts/acme/").content.decode()
    assert "/mailboxes/new/" not in viewer.get("/accounts/acme/").content.decode()


def test_as_many_queries_whatever_it_has(viewer, account, django_assert_num_queries):
    for rows in (1, 30):
        for number in range(rows):
            name = f"x-{rows}-{number}"
            ApiCredential.objects.issue(account, name)
            Account.objects.create(name=name, reseller=account)
            Mailbox.objects.create(account=account, name=name)
        # Session, user, two kinds of permissions, second factor; the account, its resellers, what is in its tree,
        # customers, its count of mailboxes, the latest ones, credentials.
        with django_assert_num_queries(12):
            viewer.get("/accounts/acme/")


@pytest.mark.parametrize("name", ["nobody", "Acme", "ac", "a%00cme", "é" * 3])
def test_an_unknown_account_is_not_found(viewer, account, name):
    assert viewer.get(f"/accounts/{name}/").status_code == 404


def test_staff_without_the_permission_are_refused(account):
    assert staff("view_mailbox").get("/accounts/acme/").status_code == 403


def test_takes_no_post(manager, account):
    assert manager.post("/accounts/acme/").status_code == 405
