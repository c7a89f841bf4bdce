"""The history of an account and its credentials."""

import json
from datetime import timedelta
from importlib import import_module

import pytest
from django.core.management import call_command
from django.db import connection

from mailboxes import trimming
from mailboxes.models import Account, ApiCredential
from tests.admin.browser import Browser
from tests.console.conftest import sign_in_with
from tests.console.pages import get_text

ADDRESS = "/accounts/acme/history/"


def read_changes(browser, address=ADDRESS):
    """Return author, action, name and values of each change, the oldest first."""
    changes = browser.get(address).context["changes"]
    return [
        (
            getattr(change.user, "username", None),
            change.action,
            change.name,
            [(before, after) for _label, before, after in change.steps],
        )
        for change in reversed(changes)
    ]


def test_changes_by_pages_admin_and_commands_are_recorded_alike(manager, admin_user, capsys):
    admin = Browser(SERVER_NAME="localhost")
    admin.force_login(admin_user)
    Account.objects.create(name="top")
    manager.post("/accounts/-/new/", {"name": "acme", "contact_name": "Ann"})
    account = Account.objects.get(name="acme")
    manager.post("/accounts/acme/edit/", {"contact_name": "Bob", "reseller": "top"})
    admin.run_action("account_changelist", "suspend", account)
    manager.post("/accounts/acme/reactivate/")
    call_command("issue_credential", "acme", "sync", "--networks=192.0.2.0/24", "--json")
    secret = json.loads(capsys.readouterr().out)["X-Auth-Password"]
    credential = ApiCredential.objects.authenticate(secret)
    credential.mark_used()  # which is no change
    credential = ApiCredential.objects.get()
    admin.save("apicredential_change", credential.pk, networks="")
    manager.post(f"/accounts/acme/credentials/{credential.pk}/revoke/")
    assert read_changes(manager) == [
        ("manager", "created", "acme", [(None, "Ann")]),
        ("manager", "changed", "acme", [("Ann", "Bob"), (None, "top")]),
        ("admin", "suspended", "acme", []),
        ("manager", "reactivated", "acme", []),
        (None, "created", "sync", [(None, "192.0.2.0/24")]),
        ("admin", "changed", "sync", [("192.0.2.0/24", None)]),
        ("manager", "revoked", "sync", []),
    ]
    page = manager.get(ADDRESS)
    text = get_text(page)
    for words in (
        "Created the account Contact Ann",
        "Changed the account Contact Ann → Bob Reseller none → top",
        "Suspended the account",
        "Reactivated the account",
        "Issued the credential sync Networks 192.0.2.0/24",
        "Changed the credential sync Networks 192.0.2.0/24 → none",
        "Revoked the credential sync",
    ):
        assert words in text
    assert secret not in page.text
    assert ApiCredential.hash(secret) not in str(list(ApiCredential.history.values()))


def test_account_page_leads_to_its_history(viewer, account):
    page = viewer.get("/accounts/acme/").text
    assert f'href="{ADDRESS}"' in page
    assert "/admin/mailboxes/account/" not in page
    assert "/accounts/acme/history/" not in sign_in_with("view_account").get("/accounts/acme/").text


def test_history_needs_permission_for_credentials(account):
    assert sign_in_with("view_account").get(ADDRESS).status_code == 403


def test_other_accounts_are_left_out(viewer, account, stranger):
    ApiCredential.objects.issue(stranger, "theirs")
    ApiCredential.objects.issue(None, "pbx", is_engine=True)
    assert [change[2] for change in read_changes(viewer)] == ["acme"]


def test_credential_for_all_accounts_has_a_history(viewer, account):
    ApiCredential.objects.issue(account, "ours")
    ApiCredential.objects.issue(None, "pbx", is_engine=True)
    assert 'href="/accounts/-/history/"' in viewer.get("/accounts/").text
    changes = read_changes(viewer, "/accounts/-/history/")
    assert changes == [(None, "created", "pbx", [(None, True)])]


def test_deleted_account_keeps_its_history(viewer, account):
    ApiCredential.objects.issue(account, "sync")
    account.delete()
    actions = [change[1:3] for change in read_changes(viewer)]
    assert actions[:2] == [("created", "acme"), ("created", "sync")]
    assert set(actions[2:]) == {("deleted", "acme"), ("deleted", "sync")}
    assert viewer.get("/accounts/never/history/").status_code == 404


def test_history_of_a_deleted_account_is_linked(manager, account):
    assert "No account is deleted" in manager.get("/accounts/-/deleted/").text
    page = manager.post("/accounts/acme/delete/", follow=True).text
    assert f'<a href="{ADDRESS}">See its history</a>' in page
    assert 'href="/accounts/-/deleted/"' in page
    page = manager.get("/accounts/-/deleted/")
    assert f'<a href="{ADDRESS}">History of acme</a>' in page.text
    assert '<td data-label="By">manager</td>' in page.text
    assert manager.get(ADDRESS).status_code == 200


def test_deleted_accounts_need_permission_for_credentials(account):
    browser = sign_in_with("view_account")
    assert browser.get("/accounts/-/deleted/").status_code == 403
    assert "/accounts/-/deleted/" not in browser.get("/accounts/").text


def test_first_change_after_an_upgrade_is_compared_with_the_state_before(viewer, account):
    ApiCredential.objects.issue(account, "sync")
    for model in (Account, ApiCredential):
        model.history.all().delete()
    migration = import_module("mailboxes.migrations.0016_more_history").Migration
    with connection.cursor() as cursor:
        for operation in migration.operations[-2:]:
            cursor.execute(operation.sql)
    assert read_changes(viewer) == []
    account.contact_name = "Ann"
    account.save()
    assert read_changes(viewer) == [(None, "changed", "acme", [(None, "Ann")])]
    assert "Older changes are not shown" in get_text(viewer.get(ADDRESS))


def test_changes_older_than_history_days_are_removed(viewer, account, settings):
    settings.HISTORY_DAYS = 30
    account.suspend()
    credential, _secret = ApiCredential.objects.issue(account, "sync")
    gone, _secret = ApiCredential.objects.issue(account, "gone")
    gone.delete()
    for model in (Account, ApiCredential):
        for row in model.history.all():
            row.history_date -= timedelta(days=31)
            row.save()
    account.reactivate()
    credential.revoke()
    assert trimming.trim_histories() == 3  # the account's creation, and both rows of `gone`
    assert [change[1] for change in read_changes(viewer)] == ["reactivated", "revoked"]


@pytest.mark.parametrize("count", [1, 60])
def test_query_count_does_not_grow_with_the_changes(
    viewer, account, count, django_assert_num_queries
):
    for number in range(count):
        account.contact_name = f"Ann {number}"
        account.save()
    ApiCredential.objects.issue(account, "sync")
    # Session, user, permissions twice, second factor; account, count, start twice, keys, resellers;
    # rows, states before and names of accounts; rows of credentials.
    with django_assert_num_queries(14):
        page = viewer.get(ADDRESS)
    assert len(page.context["changes"]) == min(count + 2, 50)
