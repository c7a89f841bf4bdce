"""Import a long file; `make import-50000` prints the seconds of each phase."""

import os
import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from mailboxes.csvfiles.rows import format_rows
from mailboxes.models import Account, Batch, Import, Mailbox
from tests.console.conftest import sign_in_with

ROWS = int(os.environ.get("IMPORT_ROWS", "500"))

pytestmark = pytest.mark.django_db(transaction=True)  # commits, so the time includes the disk

EXPORT = {"delimiter": ",", "pass_codes": "on"}


class TimedBrowser:
    """Measure the seconds of each POST."""

    def __init__(self, browser):
        self.browser = browser
        self.seconds = []

    def post(self, address, data=None, **headers):
        start = time.monotonic()
        response = self.browser.post(address, data, headers=headers)
        self.seconds.append(time.monotonic() - start)
        return response


@pytest.fixture
def importer():
    for number in range(20):
        Account.objects.create(name=f"acme-{number}")
    return sign_in_with("view_mailbox", "add_mailbox", "change_mailbox")


@pytest.fixture
def print_figures(capsys):
    """Return a function that prints figures if IMPORT_ROWS is set."""

    def print_figures(text):
        if "IMPORT_ROWS" in os.environ:
            with capsys.disabled():
                print(f"{ROWS:,} rows {text}")  # noqa: T201

    return print_figures


def import_file(importer, text, label, print_figures):
    """Upload, check and write the file; return the import with its counts."""
    timed = TimedBrowser(importer)
    file = SimpleUploadedFile("long.csv", text.encode())
    address = timed.post("/import/", {"file": file}).url
    source = Import.objects.latest("created_at")
    while not source.is_checked:
        timed.post(f"{address}check/", **{"HX-Request": "true"})
        source.refresh_from_db()
    checking = sum(timed.seconds)
    longest = max(timed.seconds)
    if source.to_write:
        timed.post(f"{address}write/")
    print_figures(
        f"{label}: {sum(timed.seconds):.1f} s; upload {timed.seconds[0]:.1f} s,"
        f" upload and slices {checking:.1f} s (no request over {longest:.1f} s),"
        f" writing {sum(timed.seconds) - checking:.1f} s"
    )
    return source


@pytest.mark.long
def test_long_file_is_imported_exported_and_undone(importer, print_figures):
    lines = [["account", "name", "password", "transcribe", "recipients"]]
    for n in range(ROWS):
        addresses = f"a{n}@acme.example b@acme.example"
        lines.append([f"acme-{n % 20}", f"Desk {n}", f"{n % 10000:04}", "yes", addresses])
    assert import_file(importer, format_rows(lines), "made", print_figures).created == ROWS
    assert Mailbox.objects.count() == ROWS

    without_pass_codes = importer.post("/export/?all=on", {"delimiter": ","}).getvalue().decode()
    source = import_file(importer, without_pass_codes, "unchanged", print_figures)
    assert source.unchanged == ROWS

    exported = importer.post("/export/?all=on", EXPORT).getvalue().decode()

    changed = exported.replace(",Desk ", ",Table ").replace("; b@", "; c@")
    assert import_file(importer, changed, "changed", print_figures).changed == ROWS
    assert Mailbox.objects.filter(name__startswith="Table").count() == ROWS

    timed = TimedBrowser(importer)
    timed.post(f"/changes/{Batch.objects.latest('made_at').pk}/undo/")
    print_figures(f"undone: {timed.seconds[0]:.1f} s")
    assert importer.post("/export/?all=on", EXPORT).getvalue().decode() == exported
