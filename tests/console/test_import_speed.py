"""A long file, request by request: `make import-50000` asks for 50,000 rows and prints the seconds."""

import os
import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from mailboxes.csvfiles.rows import format_rows
from mailboxes.models import Account, Batch, Import, Mailbox
from tests.console.conftest import staff

ROWS = int(os.environ.get("IMPORT_ROWS", "500"))

pytestmark = pytest.mark.django_db(transaction=True)  # writing it to the disk counts too

EXPORT = {"delimiter": ",", "pass_codes": "on"}


class Watch:
    """A browser that counts the seconds of what it asks for."""

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
    return staff("view_mailbox", "add_mailbox", "change_mailbox")


@pytest.fixture
def say(capsys):
    """Print it where somebody asked for figures."""

    def say(text):
        if "IMPORT_ROWS" in os.environ:
            with capsys.disabled():
                print(f"{ROWS:,} rows {text}")  # noqa: T201

    return say


def bring_in(importer, text, what, say):
    """Upload the file, check it and write it; the import, as it was counted."""
    watch = Watch(importer)
    file = SimpleUploadedFile("long.csv", text.encode())
    address = watch.post("/import/", {"file": file}).url
    source = Import.objects.latest("created_at")
    while not source.is_checked:
        watch.post(f"{address}check/", **{"HX-Request": "true"})
        source.refresh_from_db()
    checking = sum(watch.seconds)
    longest = max(watch.seconds)
    if source.to_write:
        watch.post(f"{address}write/")
    say(
        f"{what}: {sum(watch.seconds):.1f} s; upload {watch.seconds[0]:.1f} s,"
        f" upload and slices {checking:.1f} s (no request over {longest:.1f} s),"
        f" writing {sum(watch.seconds) - checking:.1f} s"
    )
    return source


@pytest.mark.long
def test_a_long_file(importer, say):
    lines = [["account", "name", "password", "transcribe", "recipients"]]
    for n in range(ROWS):
        addresses = f"a{n}@acme.example b@acme.example"
        lines.append([f"acme-{n % 20}", f"Desk {n}", f"{n % 10000:04}", "yes", addresses])
    assert bring_in(importer, format_rows(lines), "made", say).created == ROWS
    assert Mailbox.objects.count() == ROWS

    made = importer.post("/export/?all=on", EXPORT).getvalue().decode()
    assert bring_in(importer, made, "unchanged", say).unchanged == ROWS

    other = made.replace(",Desk ", ",Table ").replace("; b@", "; c@")
    assert bring_in(importer, other, "changed", say).changed == ROWS
    assert Mailbox.objects.filter(name__startswith="Table").count() == ROWS

    watch = Watch(importer)
    watch.post(f"/changes/{Batch.objects.latest('made_at').pk}/undo/")
    say(f"undone: {watch.seconds[0]:.1f} s")
    assert importer.post("/export/?all=on", EXPORT).getvalue().decode() == made
