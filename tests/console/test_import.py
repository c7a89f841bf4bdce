"""Import mailboxes from CSV: upload, check, preview, write, undo."""

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile

from mailboxes.console.views import imports
from mailboxes.csvfiles import importing, reports
from mailboxes.csvfiles.rows import COLUMNS
from mailboxes.encryption import KeyRing
from mailboxes.models import Batch, Import, ImportRow, Mailbox
from tests.console.conftest import sign_in_member_of, sign_in_with
from tests.console.pages import get_text
from tests.service import shows

NEW = "account,name,password\nacme,Sales,8305\n"
WRONG = "account,name,password\nacme,Sales,12\nacme,Support,\n"


@pytest.fixture
def sales(account):
    return Mailbox.objects.create(account=account, name="Sales", password="8305")


def upload_file(browser, text, name="mailboxes.csv"):
    data = text.encode() if isinstance(text, str) else text
    return browser.post("/import/", {"file": SimpleUploadedFile(name, data)})


def open_preview(browser, text):
    """Upload the file; return the address and the text of its preview."""
    response = upload_file(browser, text)
    assert response.status_code == 302
    return response.url, browser.get(response.url).content.decode()


def get_file_errors(response):
    assert response.status_code == 200
    assert not Import.objects.exists()
    return response.context["form"].errors["file"]


def test_file_encrypted_with_a_lost_key_must_be_uploaded_again(support, account, settings):
    settings.PASS_CODE_KEYS, ring = KeyRing([bytes(32)]), settings.PASS_CODE_KEYS
    address, _ = open_preview(support, NEW)
    settings.PASS_CODE_KEYS = ring
    page = support.get(address, follow=True)
    assert page.redirect_chain == [("/import/", 302)]
    assert "A pass code cannot be decrypted" in page.content.decode()
    assert "Ask your administrator." in page.content.decode()


# --- Success -------------------------------------------------------------------------


def test_file_is_imported(support, account):
    address, page = open_preview(support, NEW)
    assert "1 created, 0 changed, 0 unchanged" in page
    assert not Mailbox.objects.exists()
    response = support.post(f"{address}write/", follow=True)
    entry = f"/changes/{Import.objects.get().batch_id}/"
    link = f'Imported: 1 created, 0 changed. <a href="{entry}">See the changes</a>'
    assert link in response.content.decode()
    assert f'href="{entry}">See the changes</a>' in support.get(address).content.decode()
    mailbox = Mailbox.objects.get()
    assert (mailbox.name, mailbox.password) == ("Sales", "8305")
    assert mailbox.history.get().history_user == support.user


def test_second_import_of_a_file_shows_a_warning(support, account):
    file = "account,name\nacme,Twice\nacme,Once\n"
    address, page = open_preview(support, file)
    assert "Was this file imported before?" not in page
    support.post(f"{address}write/")
    Mailbox.objects.get(name="Once").soft_delete()
    address, page = open_preview(support, file)
    assert "1 new mailbox has the name of another mailbox of its account." in page
    page = support.get(f"{address}?show=copies").content.decode()
    assert page.count("another mailbox has this name") == 1
    assert "Once" not in page
    support.post(f"{address}write/")
    assert Mailbox.objects.active().count() == 3


def test_upload_page_lists_the_columns(support):
    page = support.get("/import/").content.decode()
    assert all(f"<code>{column}</code>" in page for column in COLUMNS)


def test_template_has_every_column(support):
    response = support.get("/import/template.csv")
    assert response.getvalue().decode("utf-8-sig").strip().split(",") == [*COLUMNS]


def test_preview_shows_old_and_new_values(support, sales):
    _, page = open_preview(support, f"uuid,name,beep\n{sales.pk},Sales team,no\n")
    for part in ("<del>Sales</del>", "<ins>Sales team</ins>", "<del>yes</del>", "<ins>no</ins>"):
        assert part in page


def test_pass_codes_are_masked(support, sales):
    address, page = open_preview(support, f"uuid,password\n{sales.pk},7391\n,48260\n")
    pages = [page, support.get(f"{address}?show=changed").content.decode()]
    pages.append(support.get(f"{address}errors.csv").getvalue().decode())
    for page in pages:
        assert "••••" in page
        assert not any(shows(page, code) for code in ("8305", "7391", "48260"))


def test_preview_says_that_a_pass_code_is_set(support, sales):
    for code in ("8305", "7391"):
        _, page = open_preview(support, f"uuid,password\n{sales.pk},{code}\n")
        assert "0 created, 1 changed, 0 unchanged" in page
        assert "sets the pass code" in page


def test_preview_marks_weak_pass_codes(support, account):
    file = "account,name,password\nacme,Weak,1234\nacme,Good,8305\n"
    address, page = open_preview(support, file)
    assert "1 pass code in this file is easy to guess: it repeats digits" in page
    assert page.count("easy to guess</span>") == 1
    page = support.get(f"{address}?show=weak").content.decode()
    assert "1–1 of 1" in page
    assert "Good" not in page
    assert not shows(page, "1234")


def test_exported_file_changes_nothing(support, sales):
    data = support.post("/export/?all=on", {"delimiter": ";"}).getvalue()
    _, page = open_preview(support, data)
    assert "Nothing to import" in page
    assert "Import 1 mailbox" not in page


def test_import_is_undone_from_the_message(support, account):
    address, _ = open_preview(support, NEW)
    response = support.post(f"{address}write/")
    (message,) = get_messages(response.wsgi_request)
    support.post(message.extra_tags)
    assert not Mailbox.objects.active().exists()


def test_repeated_submission_imports_once(support, account):
    address, _ = open_preview(support, NEW)
    for _ in range(2):
        assert support.post(f"{address}write/").url == "/"
    assert Mailbox.objects.count() == Batch.objects.count() == 1
    assert "This file was imported" in support.get(address).content.decode()


def test_import_is_discarded(support, account):
    address, _ = open_preview(support, NEW)
    assert support.post(f"{address}discard/").url == "/import/"
    assert not Import.objects.exists()
    assert not ImportRow.objects.exists()


def test_imported_file_cannot_be_discarded(support, account):
    address, _ = open_preview(support, NEW)
    support.post(f"{address}write/")
    page = support.post(f"{address}discard/", follow=True).content.decode()
    assert "This file was imported" in page
    assert Import.objects.exists()


def test_query_count_of_the_preview_does_not_grow_with_the_rows(
    support, sales, django_assert_num_queries
):
    rows = "".join(f"acme,Desk {n}\n" for n in range(imports.ROWS_PER_PAGE))
    address, _ = open_preview(support, f"account,name\n{rows}")
    # Session, user, permissions twice, second factor, import, copies, weak pass codes, count, rows,
    # mailboxes.
    with django_assert_num_queries(11):
        support.get(address)


# --- Slice by slice -------------------------------------------------------------------


@pytest.fixture
def one_row_slices(monkeypatch):
    monkeypatch.setattr(importing, "CHECKED_ROWS", 1)
    monkeypatch.setattr(imports, "SLICE_SECONDS", 0)
    monkeypatch.setattr(imports, "SLICE_SECONDS_BY_HAND", 0)


def test_htmx_request_checks_one_slice(support, account, one_row_slices):
    address, page = open_preview(support, NEW + "acme,Support,\nacme,Lobby,\n")
    assert "1 of 3" in page
    response = support.post(f"{address}check/", headers={"HX-Request": "true"})
    assert "2 of 3" in response.content.decode()
    response = support.post(f"{address}check/", headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"
    assert "3 created" in support.get(address).content.decode()


def test_button_checks_one_slice(support, account, one_row_slices):
    address, _ = open_preview(support, NEW + "acme,Support,\n")
    response = support.post(f"{address}check/", follow=True)
    assert "2 created" in response.content.decode()


def test_check_after_the_import_keeps_the_counts(support, account):
    address, _ = open_preview(support, NEW)
    support.post(f"{address}write/")
    response = support.post(f"{address}check/", headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"
    assert "1 created, 0 changed, 0 unchanged" in support.get(address).content.decode()


def test_partly_checked_file_imports_nothing(support, account, one_row_slices):
    address, _ = open_preview(support, NEW + "acme,Support,\n")
    assert support.post(f"{address}write/").url == address
    assert not Mailbox.objects.exists()


# --- Refusals ------------------------------------------------------------------------


def test_errors_name_row_and_column(support, account):
    address, page = open_preview(support, WRONG)
    assert "1 row of 2 is wrong" in page
    assert list(reports.list_errors(ImportRow.objects.filter(outcome="wrong"))) == [
        (2, "password", "••••", "Use four digits, 0000 to 9999. This has 2 digits.")
    ]
    assert "<code>password</code>" in page
    assert "Use four digits, 0000 to 9999. This has 2 digits." in page
    listed = support.get(f"{address}errors.csv").getvalue().decode("utf-8-sig")
    assert (
        listed.splitlines()[1]
        == '2,password,••••,"Use four digits, 0000 to 9999. This has 2 digits."'
    )


def test_counts_of_a_wrong_file_are_true(support, account):
    """Its rows create nothing, and one of them has two errors."""
    address, page = open_preview(
        support, "account,name,password,beep\nacme,Sales,12,x\nacme,New,,\n"
    )
    assert page.count('<th scope="row"') == 2
    texts = [get_text(support.get(f"{address}?show={show}")) for show in ("wrong", "created")]
    assert ["Wrong rows: 1–1 of 1" in text for text in texts] == [True, False]
    assert all("Wrong 1 New mailboxes 1" in text and "Created" not in text for text in texts)


def test_long_wrong_cell_is_shortened(support, account):
    """It is repeated for each of its errors, of which a file may have a million."""
    addresses = ";".join(f"a{number}{'x' * 300}" for number in range(50))
    address, _page = open_preview(support, f"account,name,recipients\nacme,x,{addresses}\n")
    listed = support.get(f"{address}errors.csv").getvalue().decode("utf-8-sig").splitlines()
    assert len(listed) == 51
    assert max(map(len, listed)) < 500
    assert f"{'x' * 100}…" in listed[1]


def test_file_with_an_error_imports_nothing(support, account):
    address, page = open_preview(support, WRONG)
    assert f"{address}write/" not in page
    assert support.post(f"{address}write/").url == address
    assert not Mailbox.objects.exists()


def test_concurrent_change_restarts_the_check(support, sales):
    address, _ = open_preview(support, f"uuid,name\n{sales.pk},Sales team\n")
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
        ("name,colour\nx,red\n", "“colour” is not a known column."),
        (b"", "The submitted file is empty."),
    ],
)
def test_invalid_file_is_refused_at_the_field(support, data, sentence):
    assert sentence in get_file_errors(upload_file(support, data))[0]


def test_large_file_is_refused_at_the_field(support, monkeypatch):
    monkeypatch.setattr(importing, "MAX_MIB", 1)
    assert get_file_errors(upload_file(support, "name\n" * 300_000)) == [
        "The file is larger than 1 MiB. Split it."
    ]


def test_missing_file_is_refused_at_the_field(support):
    assert get_file_errors(support.post("/import/")) == ["This field is required."]


def test_address_of_a_replaced_upload_leads_to_the_newest(support, account):
    old, _ = open_preview(support, WRONG)
    new, _ = open_preview(support, NEW)
    for path in PATHS:
        response = request_page(support, old, path)
        assert response.status_code == 404
        assert "A newer upload has replaced it" in get_text(response)
        assert f'href="{new}"' in response.content.decode()
    response = support.post(f"{old}check/", headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"


def test_address_of_a_discarded_upload_leads_to_the_upload_page(support, account):
    address, _ = open_preview(support, NEW)
    support.post(f"{address}discard/")
    page = support.get(address).content.decode()
    assert "This upload is no longer here" in page
    assert 'href="/import/">Upload a file' in page


PATHS = ["", "check/", "write/", "discard/", "errors.csv"]


def request_page(browser, address, path):
    return browser.post(address + path) if path.endswith("/") else browser.get(address + path)


@pytest.mark.parametrize("path", PATHS)
def test_import_of_another_user_is_not_found(support, account, path):
    address, _ = open_preview(support, NEW)
    assert request_page(sign_in_member_of("Manager"), address, path).status_code == 404
    assert Import.objects.exists()
    assert not Mailbox.objects.exists()


@pytest.mark.parametrize("permission", ["add_mailbox", "change_mailbox"])
@pytest.mark.parametrize("path", PATHS)
def test_import_needs_add_and_change_permissions(support, account, permission, path):
    address, _ = open_preview(support, NEW)
    browser = sign_in_with("view_mailbox", permission)
    assert request_page(browser, address, path).status_code == 403
    assert upload_file(browser, NEW).status_code == browser.get("/import/").status_code == 403
