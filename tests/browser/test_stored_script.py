"""What somebody wrote into a name runs in nobody's browser."""

import pytest

from tests.browser.conftest import sign_in
from tests.security.addresses import addresses
from tests.security.conftest import rosa, rows, written  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

# Answers that are no page, or of which a browser makes a file.
NO_PAGES = ("/voip", "/authenticated", "/admin/jsi18n", "/sign")


def test_no_page_runs_a_script(page, written):  # noqa: F811
    """No dialog on any page of staff, and no word from the browser of a script that it refused."""
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    sign_in(page, "ada")
    for address in addresses(written):
        if not address.startswith(NO_PAGES) and not address.endswith(".csv"):
            page.goto(address)
    refused = [line for line in page.complaints if "Content Security Policy" in line]
    assert (dialogs, refused) == ([], [])
