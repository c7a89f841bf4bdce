"""The form that changes a credential."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from mailboxes.models import ApiCredential
from tests.console.pages import get_errors, get_form_values, get_source, get_text, read_log


@pytest.fixture
def credential(account):
    credential, _ = ApiCredential.objects.issue(account, "pbx", networks="192.0.2.0/24")
    return credential


@pytest.fixture
def edit(credential):
    return f"/accounts/acme/credentials/{credential.pk}/edit/"


def test_networks_and_expiry_are_changed(manager, credential, edit):
    typed = {"networks": "192.0.2.1", "expires_at": "2997-01-31T12:00"}
    page = manager.post(edit, typed, follow=True)
    assert page.request["PATH_INFO"] == "/accounts/acme/"
    assert "Credential “pbx” was changed." in get_text(page)
    credential.refresh_from_db()
    assert credential.networks == "192.0.2.1"
    assert credential.expires_at == datetime(2997, 1, 31, 12, tzinfo=UTC)
    assert read_log() == [("manager", "acme: pbx", "Changed Networks and Expires (UTC).")]


def test_past_expiry_ends_the_credential(manager, credential, edit):
    manager.post(edit, {"networks": "", "expires_at": "2020-01-31T12:00"})
    credential.refresh_from_db()
    assert credential.state == ApiCredential.State.EXPIRED


def test_form_shows_current_values(manager, credential, edit):
    moment = datetime(2997, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    ApiCredential.objects.update(expires_at=moment)
    page = get_source(manager, edit)
    assert "192.0.2.0/24" in page
    assert 'value="2997-01-31T23:59:59"' in page
    manager.post(edit, {"networks": "192.0.2.0/24", "expires_at": "2997-01-31T23:59:59"})
    credential.refresh_from_db()
    assert credential.expires_at == moment  # saving the form as shown keeps the microseconds
    assert read_log() == []


def test_kind_of_credential_cannot_be_changed(manager, credential, edit):
    manager.post(edit, {"networks": "192.0.2.0/24", "is_engine": "on"})
    credential.refresh_from_db()
    assert not credential.is_engine


def test_credential_notes_that_its_engine_sends_mails(manager, account):
    engine, _ = ApiCredential.objects.issue(account, "asterisk", is_engine=True)
    page = manager.post(f"/accounts/acme/credentials/{engine.pk}/edit/", {"sends_mail": "on"})
    assert page.status_code == 302
    engine.refresh_from_db()
    assert engine.sends_mail
    assert "sends mails" in get_text(manager.get("/accounts/acme/"))


def test_program_cannot_send_mails(manager, credential, edit):
    assert "sends_mail" not in get_source(manager, edit)
    manager.post(edit, {"networks": "", "sends_mail": "on"})
    credential.refresh_from_db()
    assert not credential.sends_mail


def test_name_and_secret_cannot_be_changed(manager, credential, edit):
    assert "so it cannot be changed" in get_source(manager, edit)
    manager.post(edit, {"name": "other", "networks": "", "prefix": "x", "revoked_at": "2020-01-01"})
    changed = ApiCredential.objects.get()
    assert (changed.name, changed.secret_sha256) == ("pbx", credential.secret_sha256)
    assert changed.is_usable


def test_invalid_networks_are_refused(manager, credential, edit):
    page = manager.post(edit, {"networks": "home", "expires_at": "2997-01-31T12:00"})
    assert "“home” is not a network" in get_errors(page)["networks"][0]
    assert 'value="2997-01-31T12:00"' in page.content.decode()
    credential.refresh_from_db()
    assert (credential.networks, credential.expires_at) == ("192.0.2.0/24", None)
    assert read_log() == []


def test_revoked_credential_cannot_be_changed(manager, credential, edit):
    credential.revoke()
    tomorrow = timezone.now() + timedelta(days=1)
    page = manager.post(edit, {"networks": "", "expires_at": tomorrow.isoformat()}, follow=True)
    assert "“pbx” is revoked and cannot be changed. Issue another credential." in get_text(page)
    credential.refresh_from_db()
    assert (credential.networks, credential.expires_at) == ("192.0.2.0/24", None)


def test_credential_of_another_account_is_not_found(manager, credential, stranger):
    address = f"/accounts/stranger/credentials/{credential.pk}/edit/"
    assert manager.post(address, {"networks": ""}).status_code == 404


@pytest.mark.parametrize("pk", [0, 10**30])
def test_unknown_credential_is_not_found(manager, account, pk):
    assert manager.get(f"/accounts/acme/credentials/{pk}/edit/").status_code == 404


def test_networks_changed_meanwhile_are_replaced_by_the_second_save_only(manager, credential, edit):
    typed = get_form_values(manager.get(edit)) | {"networks": "", "expires_at": "2997-01-31T12:00"}
    moment = datetime(2998, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    ApiCredential.objects.update(networks="192.0.2.1\n192.0.2.2", expires_at=moment)
    page = manager.post(edit, typed)
    changed = "This was changed to “{}” meanwhile. Save again to replace it."
    assert get_errors(page) == {
        "networks": [changed.format("192.0.2.1\n192.0.2.2")],
        "expires_at": [changed.format("2998-01-31 23:59:59")],
    }
    credential.refresh_from_db()
    assert (credential.networks, credential.expires_at) == ("192.0.2.1\n192.0.2.2", moment)
    again = get_form_values(page)
    again["initial-networks"] = "192.0.2.1\r\n192.0.2.2"  # as browsers send it
    assert manager.post(edit, again).status_code == 302
    credential.refresh_from_db()
    assert (credential.networks, credential.expires_at.year) == ("", 2997)


def test_networks_changed_meanwhile_are_kept_with_another_expiry(manager, credential, edit):
    typed = get_form_values(manager.get(edit)) | {"expires_at": "2997-01-31T12:00"}
    ApiCredential.objects.update(networks="192.0.2.1")
    assert manager.post(edit, typed).status_code == 302
    credential.refresh_from_db()
    assert (credential.networks, credential.expires_at.year) == ("192.0.2.1", 2997)
