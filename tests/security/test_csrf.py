"""Cross-site request forgery: each address that accepts POST needs the form's token."""

import pytest
from django.apps import apps
from django.db.models import Model
from django.test import Client

from mailboxes.contract import is_api_path, is_machine_path
from mailboxes.history import HEARD, READ
from tests.security.addresses import build_addresses

pytestmark = pytest.mark.django_db

# Sessions change with every page.
IGNORED = {"sessions.session"}


@pytest.fixture
def staff_browser(rosa):
    """Rosa's browser, signed in, which checks CSRF tokens as the server does."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(rosa)
    return browser


def read_database() -> dict:
    """Return all rows of the database, by model."""
    models: list[type[Model]] = apps.get_models()
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in models
        if model._meta.label_lower not in IGNORED
    }


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "https://evil.example"}, {"Referer": "https://evil.example/"}],
    ids=["no token", "another origin", "another page"],
)
def test_form_without_its_token_is_refused(staff_browser, rows, headers):
    before = read_database()
    pages = [address for address in build_addresses(rows) if not is_machine_path(address)]
    statuses = {
        address: staff_browser.post(
            address, {"post": "yes"}, headers=headers, secure=True
        ).status_code
        for address in pages
    }
    # 405 means that the address accepts no POST at all.
    assert {address for address, status in statuses.items() if status not in (403, 405)} == set()
    assert read_database() == before


def test_get_request_changes_nothing(staff_browser, rows):
    """A link or an image on another site's page makes a browser send GET with its cookies.

    That somebody has heard or read a message is recorded, however it came about.
    """
    before = read_database()
    for address in build_addresses(rows):
        staff_browser.get(address).getvalue()  # closes a file
    after = read_database()
    entries = after.pop("admin.LogEntry")
    assert [entry["change_message"].partition(":")[0] for entry in entries] == [READ, HEARD]
    assert before.pop("admin.LogEntry") == []
    assert after == before


def test_cookies_do_not_open_the_api(staff_browser, rows):
    for address in filter(is_api_path, build_addresses(rows)):
        if not address.startswith("/voip/schema"):
            assert staff_browser.post(address).status_code in (401, 405)
