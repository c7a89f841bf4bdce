"""The form for a new account."""

import pytest

from mailboxes.models import Account
from tests.console.pages import get_errors, get_source, get_text, read_log

NEW = "/accounts/-/new/"


def test_account_is_created(manager, account):
    typed = {"name": "beta", "contact_name": "Ann", "reseller": " ACME "}
    page = manager.post(NEW, typed, follow=True)
    assert page.request["PATH_INFO"] == "/accounts/beta/"
    assert "Account beta was created." in get_text(page)
    beta = Account.objects.get(name="beta")
    assert (beta.contact_name, beta.reseller, beta.is_active) == ("Ann", account, True)
    assert read_log() == [("manager", "beta", "Added.")]


def test_account_without_reseller_is_created(manager):
    manager.post(NEW, {"name": "acme"})
    assert Account.objects.get().reseller is None


def test_query_string_fills_in_the_reseller(manager, account):
    assert 'value="acme"' in get_source(manager, NEW + "?reseller=acme")


@pytest.mark.parametrize("name", ["", "Acme Ltd", "ab", "a" * 65, "ac\x00me"])
def test_invalid_name_is_refused_and_input_kept(manager, name):
    page = manager.post(NEW, {"name": name, "contact_name": "Ann"})
    assert set(get_errors(page)) == {"name"}
    assert 'value="Ann"' in page.content.decode()
    assert not Account.objects.exists()


def test_contact_name_that_shows_nothing_is_refused(manager):
    page = manager.post(NEW, {"name": "acme", "contact_name": "\u200b\u3164"})
    assert get_errors(page) == {"contact_name": ["This field cannot be blank."]}


def test_duplicate_name_is_refused_and_input_kept(manager, account):
    page = manager.post(NEW, {"name": "acme", "contact_name": "Ann"})
    assert get_errors(page) == {"name": ["An account with this name already exists."]}
    assert 'value="Ann"' in page.content.decode()


@pytest.mark.parametrize("reseller", ["nobody", "No Body", "\x00", "é" * 9000, "1"])
def test_unknown_reseller_is_refused_and_stays_in_its_field(manager, account, reseller):
    page = manager.post(NEW, {"name": "beta", "reseller": reseller})
    assert set(get_errors(page)) == {"reseller"}
    assert "There is no account “" in get_errors(page)["reseller"][0]
    assert page.context["form"]["reseller"].value() == reseller
    assert Account.objects.count() == 1
    assert read_log() == []
