"""The form that changes an account."""

import pytest

from mailboxes.models import Account
from tests.console.pages import get_errors, get_form_values, get_source, get_text, read_log
from tests.console.test_account_history import read_changes

EDIT = "/accounts/acme/edit/"


@pytest.fixture
def beta(account):
    """Create a customer of acme."""
    return Account.objects.create(name="beta", reseller=account)


def test_contact_and_reseller_are_changed(manager, beta, stranger):
    typed = {"contact_name": "Ann", "reseller": "stranger"}
    page = manager.post("/accounts/beta/edit/", typed, follow=True)
    assert page.request["PATH_INFO"] == "/accounts/beta/"
    assert "Account beta was changed." in get_text(page)
    beta.refresh_from_db()
    assert (beta.contact_name, beta.reseller) == ("Ann", stranger)
    assert read_log() == [("manager", "beta", "Changed Contact name and Reseller.")]


def test_form_shows_current_values(manager, beta):
    Account.objects.filter(pk=beta.pk).update(contact_name="Ann")
    page = get_source(manager, "/accounts/beta/edit/")
    assert 'value="Ann"' in page
    assert 'value="acme"' in page


def test_empty_reseller_is_removed(manager, beta):
    manager.post("/accounts/beta/edit/", {"contact_name": "", "reseller": ""})
    beta.refresh_from_db()
    assert beta.reseller is None


def test_days_that_messages_are_kept_are_changed(manager, account, settings):
    settings.MESSAGE_RETENTION_DAYS = 90
    shown = "Messages are kept for 90 days, unheard ones for ever"
    assert shown in get_text(manager.get("/accounts/acme/"))
    page = manager.post(EDIT, {"message_days": "30", "removes_unheard": "on"}, follow=True)
    account.refresh_from_db()
    assert (account.message_days, account.removes_unheard) == (30, True)
    assert "Messages are kept for 30 days Created" in get_text(page)
    assert "which your administrator sets (MESSAGE_RETENTION_DAYS)" in get_text(manager.get(EDIT))
    page = manager.post(EDIT, {"message_days": "0"}, follow=True)
    assert "Messages are kept for ever" in get_text(page)
    assert [change[3] for change in read_changes(manager)][1:] == [
        [(None, 30), (None, True)],
        [(30, 0), (True, None)],
    ]


def test_deletion_of_mailed_messages_is_switched_on(manager, account):
    assert "Mailed messages" not in get_text(manager.get("/accounts/acme/"))
    page = manager.post(EDIT, {"deletes_mailed": "on"}, follow=True)
    account.refresh_from_db()
    assert account.deletes_mailed
    assert "Mailed messages deleted once all recipients have them" in get_text(page)
    assert read_changes(manager)[-1][3] == [(None, True)]


@pytest.mark.parametrize("days", ["-1", "36501", "1.5", "soon"])
def test_invalid_message_days_are_refused(manager, account, days):
    page = manager.post(EDIT, {"message_days": days})
    assert set(get_errors(page)) == {"message_days"}
    account.refresh_from_db()
    assert account.message_days is None


def test_name_cannot_be_changed(manager, account):
    assert "so it cannot be changed" in get_source(manager, EDIT)
    manager.post(EDIT, {"name": "other", "contact_name": "Ann"})
    account.refresh_from_db()
    assert (account.name, account.contact_name) == ("acme", "Ann")


def test_saving_unchanged_values_is_not_logged(manager, account):
    page = manager.post(EDIT, {"contact_name": "", "reseller": ""}, follow=True)
    assert "is changed" not in get_text(page)
    assert read_log() == []


@pytest.mark.parametrize("reseller", ["acme", "beta"])
def test_reseller_loop_is_refused(manager, account, beta, reseller):
    page = manager.post(EDIT, {"contact_name": "Ann", "reseller": reseller})
    assert get_errors(page) == {
        "reseller": [f"{reseller} is this account or its customer, so it cannot be its reseller."]
    }
    source = page.content.decode()
    assert 'value="Ann"' in source
    assert f'value="{reseller}"' in source
    account.refresh_from_db()
    assert (account.reseller, account.contact_name) == (None, "")
    assert read_log() == []


@pytest.mark.parametrize("contact", ["a" * 101, "A\x00nn", "A\x85nn"])
def test_invalid_contact_is_refused(manager, account, contact):
    page = manager.post(EDIT, {"contact_name": contact})
    assert set(get_errors(page)) == {"contact_name"}


def test_unknown_account_is_not_found(manager, db):
    assert manager.post(EDIT, {}).status_code == 404


def test_concurrent_change_by_somebody_else_is_kept(manager, beta, stranger):
    page = manager.get("/accounts/beta/edit/").text
    assert '<input type="hidden" name="initial-reseller" value="acme"' in page
    Account.objects.filter(pk=beta.pk).update(reseller=stranger)
    typed = {"contact_name": "Ann", "reseller": "acme"}
    typed |= {"initial-contact_name": "", "initial-reseller": "acme"}
    manager.post("/accounts/beta/edit/", typed)
    beta.refresh_from_db()
    assert (beta.contact_name, beta.reseller) == ("Ann", stranger)
    assert read_log() == [("manager", "beta", "Changed Contact name.")]


def test_same_field_changed_meanwhile_is_replaced_by_the_second_save_only(manager, beta, stranger):
    page = manager.get("/accounts/beta/edit/")
    typed = get_form_values(page) | {"contact_name": "Mine", "reseller": ""}
    Account.objects.filter(pk=beta.pk).update(contact_name="Theirs", reseller=stranger)
    page = manager.post("/accounts/beta/edit/", typed)
    assert get_errors(page) == {
        "contact_name": ["This was changed to “Theirs” meanwhile. Save again to replace it."],
        "reseller": ["This was changed to “stranger” meanwhile. Save again to replace it."],
    }
    beta.refresh_from_db()
    assert (beta.contact_name, beta.reseller) == ("Theirs", stranger)
    assert read_log() == []
    Account.objects.filter(pk=beta.pk).update(contact_name="")
    page = manager.post("/accounts/beta/edit/", get_form_values(page))
    assert get_errors(page) == {
        "contact_name": ["This was emptied meanwhile. Save again to replace it."]
    }
    manager.post("/accounts/beta/edit/", get_form_values(page))
    beta.refresh_from_db()
    assert (beta.contact_name, beta.reseller) == ("Mine", None)


def test_same_value_saved_meanwhile_is_no_change(manager, beta):
    typed = get_form_values(manager.get("/accounts/beta/edit/")) | {"contact_name": "Ann"}
    Account.objects.filter(pk=beta.pk).update(contact_name="Ann")
    assert manager.post("/accounts/beta/edit/", typed).status_code == 302
    assert read_log() == []
