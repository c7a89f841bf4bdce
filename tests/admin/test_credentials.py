"""Credentials in the admin."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone

from mailboxes.models import ApiCredential
from tests.admin.browser import get_address, get_errors, get_form_values, read_log
from tests.console.pages import get_text


def add_credential(staff, account, **changes):
    """Add a credential; return the page with its secret."""
    return staff.save("apicredential_add", account=account.pk, name="pbx", **changes)


def get_secret(page):
    return page.context["credential"].secret


def test_new_credential_is_shown_with_its_headers(staff, account):
    page = add_credential(staff, account, networks="192.0.2.0/24")
    secret = get_secret(page)
    assert "X-Auth-Reseller: acme\nX-Auth-User: pbx\nX-Auth-Password: " + secret in page.text
    assert ApiCredential.objects.authenticate(secret, "acme", "pbx").networks == "192.0.2.0/24"


def test_page_with_the_secret_is_not_cached(staff, account):
    page = add_credential(staff, account)
    assert page.status_code == 200  # no redirect, so the secret is stored nowhere
    assert "no-store" in page["Cache-Control"]


def test_secret_is_not_shown_again(staff, account):
    secret = get_secret(add_credential(staff, account))
    credential = ApiCredential.objects.get()
    pages = [
        staff.open("apicredential_changelist"),
        staff.open("apicredential_change", credential.pk),
        staff.open("apicredential_history", credential.pk),
        staff.get("/admin/"),
    ]
    assert not any(secret in page.text for page in pages)
    assert not any(secret in cookie.value for cookie in staff.cookies.values())
    assert not any(secret in message for message in read_log())


def test_engine_credential_is_shown_with_user_and_password(staff, account):
    page = add_credential(staff, account, is_engine="on")
    assert f"User: pbx\nPassword: {get_secret(page)}" in page.text
    assert "to read and change their pass codes" in page.text
    assert "X-Auth" not in page.text
    assert ApiCredential.objects.get().is_engine


def test_engine_credential_can_have_no_account(staff):
    page = staff.save("apicredential_add", name="pbx", is_engine="on")
    assert "the mailboxes of all accounts" in page.text
    assert ApiCredential.objects.get().account is None


def test_program_credential_needs_an_account(staff):
    page = staff.save("apicredential_add", name="api")
    assert get_errors(page)["account"] == [
        "Choose an account. Only an engine's credential can be without one."
    ]


def test_expiry_is_saved(staff, account):
    add_credential(staff, account, expires_at="2997-01-31T12:00")
    assert ApiCredential.objects.get().expires_at == datetime(2997, 1, 31, 12, tzinfo=UTC)


def test_past_expiry_is_refused(staff, account):
    page = add_credential(staff, account, expires_at="2020-01-31T12:00")
    assert get_errors(page)["expires_at"] == ["This time is past. Enter one in the future."]
    assert not ApiCredential.objects.exists()


def test_duplicate_name_is_refused(staff, credential):
    page = staff.save("apicredential_add", account=credential.account_id, name=credential.name)
    assert "has a credential of that name already" in get_errors(page)["name"][0]


def test_invalid_networks_are_refused_and_kept(staff, account):
    page = add_credential(staff, account, networks="192.0.2.0/24, home")
    assert set(get_errors(page)) == {"networks"}
    assert "192.0.2.0/24, home" in page.text
    assert not ApiCredential.objects.exists()


def test_only_networks_and_expiry_can_be_changed(staff, credential, stranger):
    tomorrow = (timezone.now() + timedelta(days=1)).date()
    staff.save(
        "apicredential_change",
        credential.pk,
        account=stranger.pk,
        name="other",
        networks="192.0.2.1",
        expires_at=f"{tomorrow}T00:00",
    )
    changed = ApiCredential.objects.get()
    assert (changed.account, changed.name) == (credential.account, credential.name)
    assert (changed.networks, changed.expires_at.date()) == ("192.0.2.1", tomorrow)
    assert changed.secret_sha256 == credential.secret_sha256


def test_action_revokes_selected_credentials(staff, credential):
    staff.run_action("apicredential_changelist", "revoke", credential)
    credential.refresh_from_db()
    assert credential.revoked_at
    assert not credential.is_usable
    assert read_log() == ["Revoked."]


def test_credential_cannot_be_deleted(staff, credential):
    assert staff.press("apicredential_delete", credential.pk, post="yes").status_code == 403
    staff.run_action("apicredential_changelist", "delete_selected", credential, post="yes")
    assert ApiCredential.objects.exists()
    page = staff.open("apicredential_change", credential.pk)
    assert get_address("apicredential_delete", credential.pk) not in page.text


def test_filter_and_search_narrow_the_list(staff, account, credential):
    revoked, _ = ApiCredential.objects.issue(account, "old")
    revoked.revoke()

    def list_names(**query):
        page = staff.open("apicredential_changelist", **query)
        return [row.name for row in page.context["cl"].result_list]

    assert list_names(revoked="yes") == ["old"]
    assert list_names(revoked="no") == ["api"]
    assert list_names(q=credential.prefix) == ["api"]
    assert list_names(q="acme") == ["api", "old"]


def test_expiry_changed_meanwhile_is_replaced_by_the_second_save_only(staff, account):
    at = datetime(2996, 1, 31, 12, tzinfo=UTC)
    credential, _ = ApiCredential.objects.issue(account, "pbx", expires_at=at)
    page = staff.open("apicredential_change", credential.pk)
    typed = get_form_values(page) | {"expires_at": "2997-01-31T12:00:00"}
    ApiCredential.objects.update(expires_at=at + timedelta(days=1))
    page = staff.press("apicredential_change", credential.pk, **typed)
    assert get_errors(page) == {
        "expires_at": [
            "This was changed to “2996-02-01 12:00:00” meanwhile. Save again to replace it."
        ]
    }
    typed = get_form_values(page)
    assert staff.press("apicredential_change", credential.pk, **typed).status_code == 302
    credential.refresh_from_db()
    assert credential.expires_at.year == 2997


def test_unchanged_expiry_keeps_what_somebody_else_has_saved(staff, account):
    at = datetime(2996, 1, 31, 12, tzinfo=UTC)
    credential, _ = ApiCredential.objects.issue(account, "pbx", expires_at=at)
    typed = get_form_values(staff.open("apicredential_change", credential.pk))
    ApiCredential.objects.update(expires_at=at + timedelta(days=1))
    staff.press("apicredential_change", credential.pk, **typed | {"networks": "192.0.2.1"})
    credential.refresh_from_db()
    assert (credential.networks, credential.expires_at) == ("192.0.2.1", at + timedelta(days=1))


def test_dates_are_written_as_in_the_console(staff, account):
    at = datetime(2996, 1, 31, 12, 5, tzinfo=UTC)
    ApiCredential.objects.issue(account, "pbx", expires_at=at)
    page = staff.open("apicredential_changelist")
    assert "2996-01-31 12:05 UTC" in page.text
    assert "2996-01-31 12:05 UTC" in get_text(staff.get("/accounts/acme/"))


def test_networks_changed_meanwhile_are_replaced_by_the_second_save_only(staff, account):
    credential, _ = ApiCredential.objects.issue(account, "pbx", networks="192.0.2.0/24")
    typed = {"networks": "", "expires_at": "2997-01-31T12:00:00"}
    first = {"initial-networks": "192.0.2.0/24"}
    ApiCredential.objects.update(networks="192.0.2.1")
    page = staff.press("apicredential_change", credential.pk, **first, **typed)
    assert get_errors(page) == {
        "networks": ["This was changed to “192.0.2.1” meanwhile. Save again to replace it."]
    }
    credential.refresh_from_db()
    assert (credential.networks, credential.expires_at) == ("192.0.2.1", None)
    assert '<input type="hidden" name="initial-networks" value="192.0.2.1"' in page.text
    first = {"initial-networks": "192.0.2.1"}
    assert staff.press("apicredential_change", credential.pk, **first, **typed).status_code == 302
    credential.refresh_from_db()
    assert (credential.networks, credential.expires_at.year) == ("", 2997)


def test_credential_notes_that_its_engine_sends_mails(staff, account):
    add_credential(staff, account, is_engine="on", sends_mail="on")
    assert ApiCredential.objects.get().sends_mail
