"""The admin's list of mailboxes: filters, search and columns."""

from uuid import UUID, uuid4

import pytest

from mailboxes.models import Mailbox
from tests.service import shows

SALES = UUID("63e54af8-07b5-4fd2-b15b-f4c31a82ca0b")


@pytest.fixture
def mailboxes(account, stranger):
    """Create Sales with all settings, Support with none, and deleted Attic with a weak code."""
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
def list_names(staff, mailboxes):
    """Return a function that lists the names in the admin's list."""

    def list_names(**query):
        page = staff.open("mailbox_changelist", **query)
        return [mailbox.name for mailbox in page.context["cl"].result_list]

    return list_names


def test_state_filter_shows_active_mailboxes_by_default(list_names):
    assert list_names() == ["Sales", "Support"]
    assert list_names(state="deleted") == ["Attic"]
    assert list_names(state="all") == ["Sales", "Support", "Attic"]


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
def test_filters_narrow_the_list(list_names, query, yes, no):
    values = ("1", "0") if query == "transcribe__exact" else ("yes", "no")
    assert [list_names(state="all", **{query: value}) for value in values] == [yes, no]


@pytest.mark.parametrize("term", ["sale", "ACME", "ann@example.org", "acme sáles", str(SALES)])
def test_search_finds_name_account_recipient_and_uuid(list_names, term):
    assert list_names(q=term) == ["Sales"]


@pytest.mark.parametrize("page", ["mailbox", "emailrecipient", "account", "apicredential"])
@pytest.mark.parametrize("text", ["s " * 11, "s" * 255])
def test_overlong_search_is_refused(staff, mailboxes, page, text):
    """Each word is searched separately: a hundred of them would take long."""
    response = staff.open(f"{page}_changelist", q=text)
    assert not response.context["cl"].result_list
    assert "Search for at most 10 words and 254 characters." in response.text


def test_search_of_the_most_words_allowed_is_answered(list_names):
    assert list_names(q="s " * 10) == ["Sales", "Support"]


def test_search_without_match_finds_nothing(list_names):
    assert list_names(q="attic") == []
    assert list_names(q=str(uuid4())) == []


def test_columns_summarize_each_mailbox(staff, mailboxes):
    rows = staff.open("mailbox_changelist", state="all").context["cl"].result_list
    admin = staff.open("mailbox_changelist").context["cl"].model_admin
    columns = [(admin.password(row), admin.recipients(row), admin.state(row)) for row in rows]
    assert columns == [("set", 2, "active"), (None, 0, "active"), ("weak", 0, "deleted")]


def test_pass_code_is_not_in_the_list(staff, mailboxes):
    assert not shows(staff.open("mailbox_changelist").text, "8305")


def test_filters_show_the_number_of_mailboxes(staff, mailboxes):
    assert "Yes (1)" in staff.open("mailbox_changelist", _facets=1).text


@pytest.mark.parametrize("column", range(1, 9))
def test_each_column_can_be_sorted(list_names, column):
    assert set(list_names(o=column)) == {"Sales", "Support"}


def test_account_autocomplete_finds_by_name(staff, account, stranger):
    query = {"app_label": "mailboxes", "model_name": "mailbox", "field_name": "account"}
    offered = staff.get("/admin/autocomplete/", query | {"term": "acm"}).json()["results"]
    assert [account["text"] for account in offered] == ["acme"]


def test_list_links_to_import_and_export(staff, mailboxes):
    page = staff.open("mailbox_changelist").content.decode()
    assert 'href="/import/"' in page
    assert 'href="/export/?all=on"' in page
