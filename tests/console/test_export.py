import csv
import io
from datetime import date

import pytest
from django.contrib.admin.models import LogEntry

from mailboxes.models import Mailbox
from tests.console.conftest import messages, staff_of
from tests.service import shows

ALL = "/export/?all=on"


def exported(browser, address=ALL, **options):
    """The file's rows."""
    response = browser.post(address, {"delimiter": ","} | options)
    assert response.status_code == 200
    text = response.getvalue().decode("utf-8-sig")
    delimiter = options.get("delimiter", ",")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def test_hands_out_a_file_named_after_the_day(viewer, sales):
    response = viewer.post(ALL, {"delimiter": ","})
    name = f"mailboxes-{date.today():%Y-%m-%d}.csv"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response.getvalue().startswith(b"\xef\xbb\xbfuuid,state,account,name,greeting,")


def test_holds_what_is_searched_for(viewer, sales):
    Mailbox.objects.create(account=sales.account, name="Support")
    assert [row["name"] for row in exported(viewer, f"{ALL}&q=ann@")] == ["Sales"]
    assert "Export 1 mailbox" in viewer.get(f"{ALL}&q=ann@").content.decode()


def test_holds_what_is_selected(viewer, sales):
    other = Mailbox.objects.create(account=sales.account, name="Support")
    rows = exported(viewer, f"/export/?uuid={other.pk}&uuid=nonsense")
    assert [row["uuid"] for row in rows] == [str(other.pk)]


def test_holds_what_the_table_shows(viewer, sales):
    Mailbox.objects.create(account=sales.account, name="Support")
    sales.soft_delete()
    assert [row["name"] for row in exported(viewer)] == ["Support"]
    (row,) = exported(viewer, f"{ALL}&state=deleted")
    assert (row["name"], row["state"]) == ("Sales", "deleted")
    assert [row["name"] for row in exported(viewer, f"{ALL}&order=-name&recipients=none")] == [
        "Support"
    ]


def test_separates_by_semicolons_where_asked_to(viewer, sales):
    (row,) = exported(viewer, delimiter=";")
    assert (row["name"], row["recipients"]) == ("Sales", "ann@acme.example")


def test_another_separator_is_refused_at_the_field(viewer, sales):
    response = viewer.post(ALL, {"delimiter": "x"})
    assert "delimiter" in response.context["form"].errors


@pytest.mark.parametrize("group", ["Support", "Manager"])
def test_holds_pass_codes_for_whoever_asks_and_may(sales, group):
    browser = staff_of(group)
    assert "Include pass codes" in browser.get(ALL).content.decode()
    (row,) = exported(browser, pass_codes="on")
    assert row["password"] == "1234"
    assert LogEntry.objects.get().object_id == str(sales.pk)


def test_holds_none_unless_asked(support, sales):
    response = support.post(ALL, {"delimiter": ","})
    assert not shows(response.getvalue().decode(), "1234")
    assert not LogEntry.objects.exists()


def test_refuses_pass_codes_to_viewers(sales):
    browser = staff_of("Viewer")
    assert "pass codes" not in browser.get(ALL).content.decode()
    response = browser.post(ALL, {"delimiter": ",", "pass_codes": "on"})
    assert response.status_code == 403
    assert not LogEntry.objects.exists()


def test_nobody_takes_a_pass_code_by_an_address(support, sales):
    response = support.get(f"{ALL}&pass_codes=on&delimiter=,")
    assert "attachment" not in response.headers.get("Content-Disposition", "")
    assert not shows(response.content.decode(), "1234")


@pytest.mark.parametrize("query", ["", "?all=on&q=%00"])
def test_nothing_selected_says_so(viewer, sales, query):
    response = viewer.get(f"/export/{query}", follow=True)
    assert messages(response) == ["No mailbox was selected. Select some rows first."]


def test_is_kept_by_no_cache(viewer, sales):
    response = viewer.post(ALL, {"delimiter": ","})
    assert "no-store" in response["Cache-Control"]
    response.close()
