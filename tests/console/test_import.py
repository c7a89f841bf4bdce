"""A file comes in: uploaded, checked, looked at, written, undone."""

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile

from mailboxes import batches
from mailboxes.console.views import imports
from mailboxes.csvfiles import importing, reports
from mailboxes.csvfiles.rows import COLUMNS
from mailboxes.encryption import KeyRing
from mailboxes.models import Batch, Import, ImportRow, Mailbox
from tests.console.conftest import staff, staff_of
from tests.service import shows

NEW = "account,name,password\nacme,Sales,8305\n"
WRONG = "account,name,password\nacme,Sales,12\nacme,Support,\n"


@pytest.fixture
def sales(account):
    return Mailbox.objects.create(account=account, name="Sales", password="8305")


def send(browser, text, name="mailboxes.csv"):
    data = text.encode() if isinstance(text, str) else text
    return browser.post("/import/", {"file": SimpleUploadedFile(name, data)})


def preview_of(browser, text):
    """The address of the page that says what the file would do, and its text."""
    response = send(browser, text)
    assert response.status_code == 302
    return response.url, browser.get(response.url).content.decode()


def refusal(response):
    assert response.status_code == 200
    assert not Import.objects.exists()
    return response.context["form"].errors["file"]


def test_a_file_whose_rows_no_key_opens_is_to_be_sent_again(support, account, settings):
    settings.PASS_CODE_KEYS, ring = KeyRing([bytes(32)]), settings.PASS_CODE_KEYS
    address, _ = preview_of(support, NEW)
    settings.PASS_CODE_KEYS = ring
    page = support.get(address, follow=True)
    assert page.redirect_chain == [("/import/", 302)]
    assert "A pass code cannot be decrypted" in page.content.decode()


# --- It works ------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["Support", "Manager"])
def test_imports(account, group):
    browser = staff_of(group)
    address, page = preview_of(browser, NEW)
    assert "1 created, 0 changed, 0 unchanged" in page
    assert not Mailbox.objects.exists()
    response = browser.post(f"{address}write/", follow=True)
    assert "Imported: 1 created, 0 changed." in response.content.decode()
    mailbox = Mailbox.objects.get()
    assert (mailbox.name, mailbox.password) == ("Sales", "8305")
    assert mailbox.history.get().history_user == browser.user


def test_says_what_columns_there_are(support):
    page = support.get("/import/").content.decode()
    assert all(f"<code>{column}</code>" in page for column in COLUMNS)


def test_offers_a_file_to_fill_in(support):
    response = support.get("/import/template.csv")
    assert response.getvalue().decode("utf-8-sig").strip().split(",") == [*COLUMNS]


def test_tells_what_changes_from_what_to_what(support, sales):
    _, page = preview_of(support, f"uuid,name,beep\n{sales.pk},Sales team,no\n")
    for told in ("<del>Sales</del>", "<ins>Sales team</ins>", "<del>yes</del>", "<ins>no</ins>"):
        assert told in page


def test_masks_pass_codes(support, sales):
    address, page = preview_of(support, f"uuid,password\n{sales.pk},7391\n,48260\n")
    pages = [page, support.get(f"{address}?show=changed").content.decode()]
    pages.append(support.get(f"{address}errors.csv").getvalue().decode())
    for page in pages:
        assert "••••" in page
        assert not any(shows(page, code) for code in ("8305", "7391", "48260"))


def test_what_was_exported_changes_nothing(support, sales):
    data = support.post("/export/?all=on", {"delimiter": ";", "pass_codes": "on"}).getvalue()
    _, page = preview_of(support, data)
    assert "Nothing to import" in page
    assert "Import 1 mailbox" not in page


def test_can_be_undone_from_the_message(support, account):
    address, _ = preview_of(support, NEW)
    response = support.post(f"{address}write/")
    (message,) = get_messages(response.wsgi_request)
    support.post(f"/changes/{message.extra_tags}/undo/")
    assert not Mailbox.objects.active().exists()


def test_pressing_twice_imports_once(support, account):
    address, _ = preview_of(support, NEW)
    for _ in range(2):
        assert support.post(f"{address}write/").url == "/"
    assert Mailbox.objects.count() == Batch.objects.count() == 1
    assert "This file was imported" in support.get(address).content.decode()


def test_can_be_discarded(support, account):
    address, _ = preview_of(support, NEW)
    assert support.post(f"{address}discard/").url == "/import/"
    assert not Import.objects.exists()
    assert not ImportRow.objects.exists()


def test_a_preview_takes_few_queries(support, sales, django_assert_num_queries):
    rows = "".join(f"acme,Desk {n}\n" for n in range(imports.ROWS_PER_PAGE))
    address, _ = preview_of(support, f"account,name\n{rows}")
    # Session, user, rights twice, second factor, import, count, rows, mailboxes.
    with django_assert_num_queries(9):
        support.get(address)


# --- Slice by slice -------------------------------------------------------------------


@pytest.fixture
def slowly(monkeypatch):
    """A row to a slice."""
    monkeypatch.setattr(batches, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(imports, "SLICE_SECONDS", 0)
    monkeypatch.setattr(imports, "SLICE_SECONDS_BY_HAND", 0)


def test_checks_slice_by_slice_as_the_page_asks(support, account, slowly):
    address, page = preview_of(support, NEW + "acme,Support,\nacme,Lobby,\n")
    assert "1 of 3" in page
    response = support.post(f"{address}check/", headers={"HX-Request": "true"})
    assert "2 of 3" in response.content.decode()
    response = support.post(f"{address}check/", headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"
    assert "3 created" in support.get(address).content.decode()


def test_checks_slice_by_slice_by_a_button(support, account, slowly):
    address, _ = preview_of(support, NEW + "acme,Support,\n")
    response = support.post(f"{address}check/", follow=True)
    assert "2 created" in response.content.decode()


def test_a_page_left_open_does_not_count_anew_what_is_written(support, account):
    address, _ = preview_of(support, NEW)
    support.post(f"{address}write/")
    response = support.post(f"{address}check/", headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"
    assert "1 created, 0 changed, 0 unchanged" in support.get(address).content.decode()


def test_nothing_is_written_before_all_is_checked(support, account, slowly):
    address, _ = preview_of(support, NEW + "acme,Support,\n")
    assert support.post(f"{address}write/").url == address
    assert not Mailbox.objects.exists()


# --- It refuses ----------------------------------------------------------------------


def test_names_each_error_by_row_and_column(support, account):
    address, page = preview_of(support, WRONG)
    assert "1 row of 2 is wrong" in page
    assert list(reports.list_errors(ImportRow.objects.filter(outcome="wrong"))) == [
        (2, "password", "••••", "Use four digits, 0000 to 9999.")
    ]
    assert "<code>password</code>" in page
    assert "Use four digits, 0000 to 9999." in page
    listed = support.get(f"{address}errors.csv").getvalue().decode("utf-8-sig")
    assert listed.splitlines()[1] == '2,password,••••,"Use four digits, 0000 to 9999."'


def test_nothing_is_written_while_anything_is_wrong(support, account):
    address, page = preview_of(support, WRONG)
    assert f"{address}write/" not in page
    assert support.post(f"{address}write/").url == address
    assert not Mailbox.objects.exists()


def test_a_change_meanwhile_sends_it_back_to_be_checked(support, sales):
    address, _ = preview_of(support, f"uuid,name\n{sales.pk},Sales team\n")
    sales.turn_transcription(on=True)
    page = support.post(f"{address}write/", follow=True).content.decode()
    assert "Nothing was imported" in page
    assert "Checking the rows" in page
    sales.refresh_from_db()
    assert sales.name == "Sales"
    support.post(f"{address}check/")
    support.post(f"{address}write/")
    sales.refresh_from_db()
    assert (sales.name, sales.transcribe) == ("Sales team", True)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("name,colour\nx,red\n", "“colour” is no column."),
        (b"", "The submitted file is empty."),
    ],
)
def test_a_file_that_is_none_is_refused_at_the_field(support, data, sentence):
    assert sentence in refusal(send(support, data))[0]


def test_a_file_too_large_is_refused_at_the_field(support, monkeypatch):
    monkeypatch.setattr(importing, "MAX_MIB", 1)
    assert refusal(send(support, "name\n" * 300_000)) == [
        "The file is larger than 1 MiB. Split it."
    ]


def test_no_file_is_refused_at_the_field(support):
    assert refusal(support.post("/import/")) == ["This field is required."]


PATHS = ["", "check/", "write/", "discard/", "errors.csv"]


def ask(browser, address, path):
    return browser.post(address + path) if path.endswith("/") else browser.get(address + path)


@pytest.mark.parametrize("path", PATHS)
def test_an_import_is_the_uploaders_own(support, account, path):
    address, _ = preview_of(support, NEW)
    assert ask(staff_of("Manager"), address, path).status_code == 404
    assert Import.objects.exists()
    assert not Mailbox.objects.exists()


@pytest.mark.parametrize("allowed", [(), ("add_mailbox",), ("change_mailbox",)])
@pytest.mark.parametrize("path", PATHS)
def test_needs_to_add_and_to_change(support, account, allowed, path):
    address, _ = preview_of(support, NEW)
    browser = staff("view_mailbox", *allowed)
    assert ask(browser, address, path).status_code == 403
    assert send(browser, NEW).status_code == browser.get("/import/").status_code == 403
