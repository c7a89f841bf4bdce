"""No other site's page can make staff's browser change anything: each address that takes a POST wants the form's token."""

import pytest
from django.apps import apps
from django.db.models import Model
from django.test import Client

from mailboxes.contract import is_api_path, is_machine_path
from tests.security.addresses import addresses

pytestmark = pytest.mark.django_db

# Of one's own visit, which changes with every page.
OF_THE_VISIT = {"sessions.session"}


@pytest.fixture
def rosas(rosa):
    """Rosa's browser, signed in, in which no check is left out."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(rosa)
    return browser


def kept() -> dict:
    """All that the database holds, by table."""
    models: list[type[Model]] = apps.get_models()
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in models
        if model._meta.label_lower not in OF_THE_VISIT
    }


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "https://evil.example"}, {"Referer": "https://evil.example/"}],
    ids=["no token", "another origin", "another page"],
)
def test_no_address_takes_a_form_without_its_token(rosas, rows, headers):
    before = kept()
    pages = [address for address in addresses(rows) if not is_machine_path(address)]
    statuses = {
        address: rosas.post(address, {"post": "yes"}, headers=headers, secure=True).status_code
        for address in pages
    }
    # 405: the address takes no POST at all.
    assert {address for address, status in statuses.items() if status not in (403, 405)} == set()
    assert kept() == before


def test_looking_changes_nothing(rosas, rows):
    """A link or an image on another site's page opens addresses with the cookies: no GET changes a thing."""
    before = kept()
    for address in addresses(rows):
        rosas.get(address).getvalue()  # which closes a file
    assert kept() == before


def test_the_api_knows_no_cookies(rosas, rows):
    """So another site's page has nothing to borrow there."""
    for address in filter(is_api_path, addresses(rows)):
        if not address.startswith("/voip/schema"):
            assert rosas.post(address).status_code in (401, 405)
