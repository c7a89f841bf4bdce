"""Scripts stored in names do not run in a real browser."""

import pytest

from tests.browser.conftest import sign_in
from tests.security.addresses import build_addresses
from tests.security.conftest import rosa, rows, script_rows  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

# Responses that are not pages, or that a browser downloads.
NOT_PAGES = ("/voip", "/authenticated", "/admin/jsi18n", "/sign")


def test_stored_script_runs_on_no_page(page, script_rows):  # noqa: F811
    """Every staff page opens no dialog, and the browser reports no blocked script."""
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    sign_in(page, "ada")
    for address in build_addresses(script_rows):
        if not address.startswith(NOT_PAGES) and not address.endswith((".csv", "/recording/")):
            page.goto(address)
    refused = [line for line in page.console_messages if "Content Security Policy" in line]
    assert (dialogs, refused) == ([], [])
