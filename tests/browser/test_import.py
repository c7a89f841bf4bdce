"""Import and export in a real browser."""

import pytest
from playwright.sync_api import expect

from mailboxes.console.views import imports
from mailboxes.csvfiles import importing
from mailboxes.models import Account, Mailbox
from tests.browser.conftest import assert_accessible, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture
def sales():
    account = Account.objects.create(name="acme")
    return Mailbox.objects.create(account=account, name="Sales", password="8305")


def upload_file(page, text):
    page.goto("/import/")
    file = {"name": "mailboxes.csv", "mimeType": "text/csv", "buffer": text.encode()}
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Upload and check").click()


def test_file_is_corrected_imported_and_undone(page, rosa, sales):
    page.goto("/import/")
    assert_accessible(page)
    page.get_by_label("CSV file").set_input_files(
        {"name": "mailboxes.csv", "mimeType": "text/csv", "buffer": b"nmae\nx\n"}
    )
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_text("“nmae” is not a known column.")).to_be_visible()
    assert_accessible(page)

    text = f"uuid,account,name,beep\n{sales.pk},acme,Sales team,no\n,acme,Support,perhaps\n"
    upload_file(page, text)
    expect(page.get_by_role("heading", name="1 row of 2 is wrong")).to_be_visible()
    expect(page.get_by_role("row", name="3 beep perhaps Use yes or no.")).to_be_visible()
    assert_accessible(page)

    upload_file(page, text.replace("perhaps", "yes"))
    expect(
        page.get_by_role("row", name="Sales team").get_by_text("Sales", exact=True)
    ).to_be_visible()
    assert_accessible(page)
    page.get_by_role("link", name="New mailboxes 1").click()
    expect(page.get_by_role("row", name="3 Support acme")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Import 2 mailboxes").click()
    page.get_by_text("Imported: 1 created, 1 changed.").wait_for()
    assert sorted(Mailbox.objects.values_list("name", flat=True)) == ["Sales team", "Support"]

    page.get_by_role("button", name="Undo").click()
    page.get_by_text("The change of 2 mailboxes was undone.").wait_for()
    assert [mailbox.name for mailbox in Mailbox.objects.active()] == ["Sales"]


def test_progress_of_a_long_check_is_shown(page, rosa, sales, monkeypatch):
    monkeypatch.setattr(importing, "CHECKED_ROWS", 1)
    monkeypatch.setattr(imports, "SLICE_SECONDS", 0)
    held_back = []
    page.route(
        "**/check/", lambda route: route.continue_() if held_back else held_back.append(route)
    )
    upload_file(page, "account,name\n" + "acme,Desk\n" * 4)
    page.get_by_text("1 of 4").wait_for()
    assert_accessible(page)
    held_back[0].continue_()
    page.get_by_role("heading", name="4 created").wait_for()


def test_import_works_without_javascript(browser, live_server, sales, monkeypatch):
    monkeypatch.setattr(importing, "CHECKED_ROWS", 1)
    monkeypatch.setattr(imports, "SLICE_SECONDS", 0)
    page = browser.new_context(base_url=live_server.url, java_script_enabled=False).new_page()
    sign_in(page, "rosa")
    upload_file(page, "account,name\n" + "acme,Desk\n" * 4)
    expect(page.get_by_text("1 of 4")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Import 4 mailboxes").click()
    expect(page.get_by_text("Imported: 4 created, 0 changed.")).to_be_visible()
    page.context.close()


def test_export_is_downloaded(page, rosa, sales):
    page.goto("/")
    page.get_by_role("link", name="Export this table").click()
    assert_accessible(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    upload_file(page, download.value.path().read_text())
    expect(page.get_by_role("heading", name="Nothing to import")).to_be_visible()
    assert_accessible(page)
