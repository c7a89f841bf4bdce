import csv
import io
from datetime import date

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client

from mailboxes.models import Mailbox
from tests.service import shows


@pytest.fixture
def sales(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales", password="8305")
    mailbox.add_recipient("ann@acme.example")
    return mailbox


def staff_of(group):
    user = User.objects.create_user(group, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    browser = Client()
    browser.force_login(user)
    return browser


def exported(browser, address="/export/", **options):
    """The file's rows."""
    response = browser.post(address, {"delimiter": ","} | options)
    assert response.status_code == 200
    text = response.getvalue().decode("utf-8-sig")
    delimiter = options.get("delimiter", ",")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def test_hands_out_a_file_named_after_the_day(viewer, sales):
    response = viewer.post("/export/", {"delimiter": ","})
    name = f"mailboxes-{date.today():%Y-%m-%d}.csv"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response.getvalue().startswith(b"\xef\xbb\xbfuuid,state,account,name,greeting,")


def test_holds_what_is_searched_for(viewer, sales):
    Mailbox.objects.create(account=sales.account, name="Support")
    assert [row["name"] for row in exported(viewer, "/export/?q=ann@")] == ["Sales"]
    assert "Export 1 mailbox" in viewer.get("/export/?q=ann@").content.decode()


def test_holds_what_is_selected(viewer, sales):
    other = Mailbox.objects.create(account=sales.account, name="Support")
    rows = exported(viewer, f"/export/?uuid={other.pk}&uuid=nonsense")
    assert [row["uuid"] for row in rows] == [str(other.pk)]


def test_holds_no_deleted_mailbox(viewer, sales):
    sales.soft_delete()
    assert exported(viewer) == []


def test_separates_by_semicolons_where_asked_to(viewer, sales):
    (row,) = exported(viewer, delimiter=";")
    assert (row["name"], row["recipients"]) == ("Sales", "ann@acme.example")


def test_another_separator_is_refused_at_the_field(viewer, sales):
    response = viewer.post("/export/", {"delimiter": "x"})
    assert "delimiter" in response.context["form"].errors


@pytest.mark.parametrize("group", ["Support", "Manager"])
def test_holds_pass_codes_for_whoever_asks_and_may(sales, group):
    browser = staff_of(group)
    assert "With pass codes" in browser.get("/export/").content.decode()
    (row,) = exported(browser, pass_codes="on")
    assert row["password"] == "8305"
    assert LogEntry.objects.get().object_id == str(sales.pk)


def test_holds_none_unless_asked(editor, sales):
    response = editor.post("/export/", {"delimiter": ","})
    assert not shows(response.getvalue().decode(), "8305")
    assert not LogEntry.objects.exists()


def test_refuses_pass_codes_to_viewers(sales):
    browser = staff_of("Viewer")
    assert "pass codes" not in browser.get("/export/").content.decode()
    response = browser.post("/export/", {"delimiter": ",", "pass_codes": "on"})
    assert response.status_code == 403
    assert not LogEntry.objects.exists()


def test_nobody_takes_a_pass_code_by_an_address(editor, sales):
    response = editor.get("/export/?pass_codes=on&delimiter=,")
    assert "attachment" not in response.headers.get("Content-Disposition", "")
    assert not shows(response.content.decode(), "8305")


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_signs_in_first(client, sales, method):
    assert getattr(client, method)("/export/").url.startswith("/sign-in/")


@pytest.mark.parametrize("text", ["%00", "%EF%BF%BE", "x" * 3000])
def test_odd_searches_find_nothing(viewer, sales, text):
    assert viewer.get(f"/export/?q={text}").status_code == 200


def test_is_kept_by_no_cache(viewer, sales):
    assert "no-store" in viewer.post("/export/", {"delimiter": ","})["Cache-Control"]
