from uuid import UUID, uuid4

import pytest

from mailboxes.models import Mailbox
from tests.service import shows

SALES = UUID("63e54af8-07b5-4fd2-b15b-f4c31a82ca0b")


@pytest.fixture
def mailboxes(account, stranger):
    """Sales with everything on; Support with nothing; Attic, deleted, with a weak pass code."""
    sales = Mailbox.objects.create(
        uuid=SALES,
        account=account,
        name="Sales",
        password="8305",
        greeting=uuid4(),
        transcribe=True,
    )
    sales.add_recipient("ann@example.com")
    sales.add_recipient("ann@example.org")
    Mailbox.objects.create(account=stranger, name="Support")
    Mailbox.objects.create(account=account, name="Attic", password="1234").soft_delete()


@pytest.fixture
def found(staff, mailboxes):
    """The names that the list shows."""

    def found(**query):
        page = staff.open("mailbox_changelist", **query)
        return [mailbox.name for mailbox in page.context["cl"].result_list]

    return found


def test_active_ones_are_shown_first(found):
    assert found() == ["Sales", "Support"]
    assert found(state="deleted") == ["Attic"]
    assert found(state="all") == ["Sales", "Support", "Attic"]


@pytest.mark.parametrize(
    ("query", "yes", "no"),
    [
        ("transcribe__exact", ["Sales"], ["Support", "Attic"]),
        ("pass_code", ["Sales", "Attic"], ["Support"]),
        ("weak", ["Attic"], ["Sales", "Support"]),
        ("recipients", ["Sales"], ["Support", "Attic"]),
        ("greeting", ["Sales"], ["Support", "Attic"]),
    ],
)
def test_filters(found, query, yes, no):
    values = ("1", "0") if query == "transcribe__exact" else ("yes", "no")
    assert [found(state="all", **{query: value}) for value in values] == [yes, no]


@pytest.mark.parametrize(
    "term",
    [
        "sale",
        "ACME",
        "ann@example.org",
        "acme sales",
        str(SALES),
        SALES.hex,
        str(SALES).upper(),
        "63e54af8-07b5",
        "63e54af807b5",
        "ca0b",
    ],
)
def test_search(found, term):
    assert found(q=term) == ["Sales"]


def test_more_text_than_any_mailbox_has_finds_none(found):
    """Thousands of words would be looked for one by one: that kept the server busy for minutes."""
    assert found(q="s " * 127) == ["Sales", "Support"]
    assert found(q="s " * 128) == []


def test_what_is_not_there_is_not_found(found):
    assert found(q="attic") == []
    assert found(q=str(uuid4())) == []


def test_columns(staff, mailboxes):
    rows = staff.open("mailbox_changelist", state="all").context["cl"].result_list
    admin = staff.open("mailbox_changelist").context["cl"].model_admin
    shown = [(admin.password(row), admin.recipients(row), admin.state(row)) for row in rows]
    assert shown == [("set", 2, "active"), (None, 0, "active"), ("weak", 0, "deleted")]


def test_no_pass_code_is_in_the_list(staff, mailboxes):
    assert not shows(staff.open("mailbox_changelist").text, "8305")


def test_counts_beside_the_filters(staff, mailboxes):
    assert "Yes (1)" in staff.open("mailbox_changelist", _facets=1).text


@pytest.mark.parametrize("column", range(1, 9))
def test_each_column_sorts(found, column):
    assert set(found(o=column)) == {"Sales", "Support"}


def test_accounts_are_offered_by_name(staff, account, stranger):
    query = {"app_label": "mailboxes", "model_name": "mailbox", "field_name": "account"}
    offered = staff.get("/admin/autocomplete/", query | {"term": "acm"}).json()["results"]
    assert [account["text"] for account in offered] == ["acme"]


def test_leads_to_import_and_export(staff, mailboxes):
    page = staff.open("mailbox_changelist").content.decode()
    assert 'href="/import/"' in page
    assert 'href="/export/?all=on"' in page
