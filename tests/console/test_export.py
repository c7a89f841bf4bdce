"""Export mailboxes as CSV."""

import csv
import io
from datetime import date

import pytest
from django.contrib.admin.models import LogEntry

from mailboxes.models import Mailbox
from tests.console.conftest import list_messages
from tests.service import shows

ALL = "/export/?all=on"


def download_rows(browser, address=ALL, **options):
    response = browser.post(address, {"delimiter": ","} | options)
    assert response.status_code == 200
    text = response.getvalue().decode("utf-8-sig")
    delimiter = options.get("delimiter", ",")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def test_file_name_contains_the_date(viewer, sales):
    response = viewer.post(ALL, {"delimiter": ","})
    name = f"mailboxes-{date.today():%Y-%m-%d}.csv"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response.getvalue().startswith(b"\xef\xbb\xbfuuid,state,account,name,greeting,")


def test_search_limits_the_export(viewer, sales):
    Mailbox.objects.create(account=sales.account, name="Support")
    assert [row["name"] for row in download_rows(viewer, f"{ALL}&q=ann@")] == ["Sales"]
    assert "Export 1 mailbox" in viewer.get(f"{ALL}&q=ann@").content.decode()


def test_selection_limits_the_export(viewer, sales):
    other = Mailbox.objects.create(account=sales.account, name="Support")
    rows = download_rows(viewer, f"/export/?uuid={other.pk}&uuid=nonsense")
    assert [row["uuid"] for row in rows] == [str(other.pk)]


def test_filters_limit_the_export(viewer, sales):
    Mailbox.objects.create(account=sales.account, name="Support")
    sales.soft_delete()
    assert [row["name"] for row in download_rows(viewer)] == ["Support"]
    (row,) = download_rows(viewer, f"{ALL}&state=deleted")
    assert (row["name"], row["state"]) == ("Sales", "deleted")
    assert [row["name"] for row in download_rows(viewer, f"{ALL}&order=-name&recipients=none")] == [
        "Support"
    ]


def test_semicolon_separates_columns(viewer, sales):
    (row,) = download_rows(viewer, delimiter=";")
    assert (row["name"], row["recipients"]) == ("Sales", "ann@acme.example")


def test_unknown_separator_is_refused_at_the_field(viewer, sales):
    response = viewer.post(ALL, {"delimiter": "x"})
    assert "delimiter" in response.context["form"].errors


def test_pass_codes_are_exported_on_request(support, sales):
    assert "Include pass codes" in support.get(ALL).content.decode()
    (row,) = download_rows(support, pass_codes="on")
    assert row["password"] == "1234"
    assert LogEntry.objects.get().object_id == str(sales.pk)


def test_pass_codes_are_left_out_by_default(support, sales):
    response = support.post(ALL, {"delimiter": ","})
    assert not shows(response.getvalue().decode(), "1234")
    assert not LogEntry.objects.exists()


def test_pass_codes_are_refused_to_viewers(viewer, sales):
    assert "pass codes" not in viewer.get(ALL).content.decode()
    response = viewer.post(ALL, {"delimiter": ",", "pass_codes": "on"})
    assert response.status_code == 403
    assert not LogEntry.objects.exists()


def test_get_request_exports_no_pass_codes(support, sales):
    response = support.get(f"{ALL}&pass_codes=on&delimiter=,")
    assert "attachment" not in response.headers.get("Content-Disposition", "")
    assert not shows(response.content.decode(), "1234")


@pytest.mark.parametrize("query", ["", "?all=on&q=%00"])
def test_empty_selection_is_explained(viewer, sales, query):
    response = viewer.get(f"/export/{query}", follow=True)
    assert list_messages(response) == ["No mailbox was selected. Select some rows first."]


def test_export_is_not_cached(viewer, sales):
    response = viewer.post(ALL, {"delimiter": ","})
    assert "no-store" in response["Cache-Control"]
    response.close()
