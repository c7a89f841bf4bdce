"""The page of one account."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailboxes.models import Account, ApiCredential, Mailbox
from tests.console.conftest import sign_in_with
from tests.console.pages import get_source, get_text


@pytest.fixture
def tree(account):
    beta = Account.objects.create(name="beta", contact_name="Ann Adams", reseller=account)
    return account, beta, Account.objects.create(name="zeta", reseller=beta)


def test_contact_and_resellers_are_shown(viewer, tree):
    page = viewer.get("/accounts/zeta/")
    assert "Accounts / acme / beta zeta" in get_text(page)
    assert "Ann Adams" in get_text(viewer.get("/accounts/beta/"))
    assert "Contact not set" in get_text(page)


def test_own_customers_are_listed_with_a_link_to_all(viewer, tree):
    page = viewer.get("/accounts/acme/")
    assert [row.name for row in page.context["customers"]] == ["beta"]
    assert "All 2, including customers of customers" in get_text(page)
    assert 'href="/accounts/acme/customers/"' in page.content.decode()


def test_mailboxes_are_counted_with_and_without_customers(viewer, tree):
    for account in tree:
        Mailbox.objects.create(account=account, name="Sales")
    Mailbox.objects.create(account=tree[0], name="Gone").soft_delete()
    page = viewer.get("/accounts/acme/")
    assert "1 of this account · 3 including its customers" in get_text(page)
    assert 'href="/?account=acme"' in page.content.decode()
    assert 'href="/?account=acme&amp;customers=on"' in page.content.decode()


def test_latest_changed_mailboxes_are_listed(viewer, account):
    for number in range(7):
        Mailbox.objects.create(account=account, name=f"Desk {number}")
    Mailbox.objects.get(name="Desk 0").save()
    names = [mailbox.name for mailbox in viewer.get("/accounts/acme/").context["latest_mailboxes"]]
    assert names == ["Desk 0", "Desk 6", "Desk 5", "Desk 4", "Desk 3"]


def test_credentials_are_listed_with_their_state(viewer, account):
    for name in ("api", "expired", "revoked"):
        ApiCredential.objects.issue(account, name)
    ApiCredential.objects.get(name="revoked").revoke()
    past = timezone.now() - timedelta(days=1)
    ApiCredential.objects.filter(name="expired").update(expires_at=past, networks="192.0.2.0/24")

    def states():
        page = viewer.get("/accounts/acme/")
        return [(row.name, row.state.label) for row in page.context["credentials"]]

    assert states() == [("api", "Usable"), ("expired", "Expired"), ("revoked", "Revoked")]
    page = get_text(viewer.get("/accounts/acme/"))
    assert "192.0.2.0/24" in page
    assert ApiCredential.objects.get(name="api").prefix in page
    account.suspend()
    assert states()[0] == ("api", "Account suspended")


def test_change_links_are_shown_to_managers_only(viewer, manager, account):
    ApiCredential.objects.issue(account, "api")
    seen_by_viewer, seen_by_manager = (
        get_text(browser.get("/accounts/acme/")) for browser in (viewer, manager)
    )
    for verb in ("Edit", "Suspend", "Revoke", "Issue", "New customer"):
        assert verb in seen_by_manager
        assert verb not in seen_by_viewer


def test_engine_credential_is_marked(viewer, account):
    ApiCredential.objects.issue(account, "api")
    assert "telephone engine" not in get_source(viewer, "/accounts/acme/")
    ApiCredential.objects.issue(account, "asterisk", is_engine=True)
    assert "asterisk telephone engine" in get_text(viewer.get("/accounts/acme/"))


def test_revoked_credential_has_no_links(manager, account):
    credential, _ = ApiCredential.objects.issue(account, "api")
    credential.revoke()
    assert f"/credentials/{credential.pk}/" not in get_source(manager, "/accounts/acme/")


def test_credentials_and_mailboxes_need_their_view_permissions(account):
    ApiCredential.objects.issue(account, "pbx")
    Mailbox.objects.create(account=account, name="Sales")
    page = get_text(sign_in_with("view_account").get("/accounts/acme/"))
    assert "pbx" not in page
    assert "Sales" not in page


def test_empty_account_suggests_what_to_do_next(manager, account):
    page = get_text(manager.get("/accounts/acme/"))
    assert "A program needs one to call the API for acme." in page
    assert "Staff create them here, programs through the API" in page


def test_new_mailbox_link_fills_in_the_account(support, viewer, account):
    assert 'href="/mailboxes/new/?account=acme"' in support.get("/accounts/acme/").content.decode()
    assert "/mailboxes/new/" not in viewer.get("/accounts/acme/").content.decode()


def test_query_count_does_not_grow_with_the_rows(viewer, account, django_assert_num_queries):
    for rows in (1, 30):
        for number in range(rows):
            name = f"x-{rows}-{number}"
            ApiCredential.objects.issue(account, name)
            Account.objects.create(name=name, reseller=account)
            Mailbox.objects.create(account=account, name=name)
        # Session, user, two kinds of permissions, second factor; the account, its resellers, what is in its tree,
        # customers, its count of mailboxes, the latest ones, resellers and greetings, credentials.
        with django_assert_num_queries(14):
            viewer.get("/accounts/acme/")


@pytest.mark.parametrize("name", ["nobody", "Acme", "ac", "a%00cme", "é" * 3])
def test_unknown_account_is_not_found(viewer, account, name):
    assert viewer.get(f"/accounts/{name}/").status_code == 404


def test_page_needs_the_view_account_permission(account):
    assert sign_in_with("view_mailbox").get("/accounts/acme/").status_code == 403


def test_post_is_not_allowed(manager, account):
    assert manager.post("/accounts/acme/").status_code == 405
