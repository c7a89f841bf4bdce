"""Issue a credential and show its secret once."""

import logging
from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry

from mailboxes.models import ApiCredential
from tests.console.pages import get_errors, get_text, read_log

ISSUE = "/accounts/acme/credentials/new/"


def test_credential_is_issued_and_its_secret_shown(manager, account):
    typed = {"name": "pbx", "networks": "192.0.2.0/24", "expires_at": "2997-01-31T12:00"}
    page = manager.post(ISSUE, typed)
    credential = ApiCredential.objects.authenticate(page.context["secret"], "acme", "pbx")
    assert credential.networks == "192.0.2.0/24"
    assert credential.expires_at == datetime(2997, 1, 31, 12, tzinfo=UTC)
    assert "never shown again" not in page.text
    assert "You can reload this page for a minute; after that, nobody" in get_text(page)
    assert read_log() == [("manager", "acme: pbx", "Added.")]


def test_sample_call_has_the_host_of_the_request(manager, account):
    page = manager.post(ISSUE, {"name": "pbx"}, SERVER_NAME="localhost")
    assert (
        "curl -sS http://localhost/authenticated \\ "
        '-H "X-Auth-Reseller: acme" \\ '
        '-H "X-Auth-User: pbx" \\ '
        f'-H "X-Auth-Password: {page.context["secret"]}"'
    ) in get_text(page)


def test_engine_credential_is_shown_with_user_and_password(manager, account):
    page = manager.post(ISSUE, {"name": "pbx", "is_engine": "on"})
    secret = page.context["secret"]
    assert ApiCredential.objects.authenticate(secret, name="pbx", is_engine=True) is not None
    assert f"User pbx Password {secret}" in get_text(page)
    assert (
        "Anyone who has it can read and change the pass codes of this account and its customers"
        in get_text(page)
    )
    assert "X-Auth" not in get_text(page)
    assert "curl -sS" not in get_text(page)


def test_engine_configuration_is_filled_in(manager, account):
    page = manager.post(ISSUE, {"name": "pbx-1", "is_engine": "on"}, SERVER_NAME="localhost")
    secret = page.context["secret"]
    text = get_text(page)
    assert f"userpwd=pbx-1:{secret}" in text
    assert f'<param name="gateway-credentials" value="pbx-1:{secret}"/>' in text
    assert "voicemail => curl,http://localhost/asterisk/voicemail" in text
    assert "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b@acme" in text
    assert "mbx_SECRET" not in text
    assert "mailboxes.example.com" not in text


def test_unusual_name_is_unchanged_in_the_engine_configuration(manager, account):
    account.name = "zeta"
    account.save()
    page = manager.post(
        "/accounts/zeta/credentials/new/", {"name": "pbx@acme.example", "is_engine": "on"}
    )
    assert f"userpwd=pbx@acme.example:{page.context['secret']}" in get_text(page)
    assert "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b@zeta" in get_text(page)


def test_program_credential_has_no_engine_configuration(manager, account):
    assert "userpwd" not in get_text(manager.post(ISSUE, {"name": "api"}))


def test_connect_link_preselects_an_engine_credential(manager, account):
    assert f"{ISSUE}?engine" in manager.get("/accounts/acme/").content.decode()
    page = manager.get(f"{ISSUE}?engine")
    assert page.context["form"]["is_engine"].value() is True
    assert "A telephone engine uses the credential to look up the mailboxes of acme" in get_text(
        page
    )
    assert not ApiCredential.objects.exists()


def test_submitted_kind_of_credential_overrides_the_query_string(manager, account):
    manager.post(f"{ISSUE}?engine", {"name": "api"})
    assert not account.credentials.get().is_engine


def test_secret_is_stored_nowhere(manager, account):
    page = manager.post(ISSUE, {"name": "pbx"})
    assert page.status_code == 200  # no redirect, so the secret is stored nowhere
    assert "no-store" in page["Cache-Control"]
    secret = page.context["secret"]
    assert not any(secret in cookie.value for cookie in manager.cookies.values())
    assert secret not in str(list(LogEntry.objects.values()))
    assert secret not in manager.get("/accounts/acme/").content.decode()


def test_secret_is_not_logged(manager, account, caplog):
    caplog.set_level(logging.DEBUG)
    page = manager.post(ISSUE, {"name": "pbx"})
    assert f"POST {ISSUE} 200" in caplog.text
    assert page.context["secret"] not in caplog.text


def test_reload_issues_no_second_credential(manager, account):
    typed = {"name": "pbx"}
    manager.post(ISSUE, typed)
    page = manager.post(ISSUE, typed)
    assert list(get_errors(page)) == ["name"]
    assert "This account has a credential of that name already" in get_errors(page)["name"][0]
    assert "secret" not in page.context
    assert ApiCredential.objects.count() == 1
    assert len(read_log()) == 1


def test_name_can_be_used_by_another_account(manager, account, stranger):
    ApiCredential.objects.issue(stranger, "pbx")
    manager.post(ISSUE, {"name": "pbx"})
    assert account.credentials.count() == 1


@pytest.mark.parametrize("name", ["", "two words", "a" * 65, "p\x00bx", "é"])
def test_invalid_name_is_refused(manager, account, name):
    page = manager.post(ISSUE, {"name": name, "networks": "192.0.2.1"})
    assert set(get_errors(page)) == {"name"}
    assert "192.0.2.1" in get_text(page)
    assert not ApiCredential.objects.exists()
    assert read_log() == []


@pytest.mark.parametrize("networks", ["192.0.2.0/24, home", "192.0.2.1/24", "\x00"])
def test_invalid_networks_are_refused(manager, account, networks):
    page = manager.post(ISSUE, {"name": "pbx", "networks": networks})
    assert set(get_errors(page)) == {"networks"}
    assert 'value="pbx"' in page.content.decode()
    assert not ApiCredential.objects.exists()


@pytest.mark.parametrize("expires_at", ["2020-01-31T12:00", "soon", "99999-01-01T00:00", "\x00"])
def test_past_or_invalid_expiry_is_refused(manager, account, expires_at):
    page = manager.post(ISSUE, {"name": "pbx", "expires_at": expires_at})
    assert set(get_errors(page)) == {"expires_at"}
    assert not ApiCredential.objects.exists()


def test_refused_input_stays_in_the_form(manager, account):
    typed = {"name": "two words", "networks": "home", "expires_at": "2020-01-31T12:00"}
    page = manager.post(ISSUE, typed)
    assert [page.context["form"][field].value() for field in typed] == list(typed.values())


def test_page_warns_of_a_suspended_account(manager, account):
    assert "suspended" not in get_text(manager.get(ISSUE))
    account.suspend()
    assert "acme is suspended: the credential is refused until" in get_text(manager.get(ISSUE))


def test_unknown_account_is_not_found(manager, db):
    assert manager.post(ISSUE, {"name": "pbx"}).status_code == 404
