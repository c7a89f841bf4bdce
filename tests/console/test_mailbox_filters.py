"""Filters and order of the mailbox table."""

from uuid import uuid4

import pytest
from django.utils import timezone

from mailboxes.models import Account, Mailbox


def list_names(browser, address):
    return [mailbox.name for mailbox in browser.get(address).context["page"]]


@pytest.fixture
def mailboxes(account, stranger):
    """Create mailboxes A and B of acme, C of its customer, and D of a stranger."""
    customer = Account.objects.create(name="shop", reseller=account)
    created = {}
    for owner, name in ((account, "A"), (account, "B"), (customer, "C"), (stranger, "D")):
        created[name] = Mailbox.objects.create(account=owner, name=name)
    return created


def change_mailbox(mailbox, **fields):
    for field, value in fields.items():
        setattr(mailbox, field, value)
    mailbox.save()


def test_account_filter_can_include_customers(viewer, mailboxes):
    assert list_names(viewer, "/?account=acme") == ["A", "B"]
    assert list_names(viewer, "/?account=acme&customers=on") == ["A", "B", "C"]


def test_transcribe_filter_narrows_the_table(viewer, mailboxes):
    change_mailbox(mailboxes["B"], transcribe=True)
    assert list_names(viewer, "/?transcribe=on") == ["B"]
    assert list_names(viewer, "/?transcribe=off") == ["A", "C", "D"]


def test_pass_code_filter_narrows_the_table(viewer, mailboxes):
    change_mailbox(mailboxes["A"], password="7392")
    change_mailbox(mailboxes["B"], password="1234")
    assert list_names(viewer, "/?pass_code=weak") == ["B"]
    assert list_names(viewer, "/?pass_code=set") == ["A", "B"]
    assert list_names(viewer, "/?pass_code=none") == ["C", "D"]


def test_recipients_filter_narrows_the_table(viewer, mailboxes):
    mailboxes["C"].add_recipient("ann@acme.example")
    mailboxes["C"].add_recipient("bob@acme.example")
    assert list_names(viewer, "/?recipients=some") == ["C"]
    assert list_names(viewer, "/?recipients=none") == ["A", "B", "D"]


def test_greeting_filter_narrows_the_table(viewer, mailboxes):
    change_mailbox(mailboxes["D"], greeting=uuid4())
    assert list_names(viewer, "/?greeting=set") == ["D"]
    assert list_names(viewer, "/?greeting=none") == ["A", "B", "C"]


def test_filters_and_search_combine(viewer, mailboxes):
    for mailbox in mailboxes.values():
        change_mailbox(mailbox, transcribe=True)
    change_mailbox(mailboxes["B"], name="Front desk")
    assert list_names(viewer, "/?account=acme&transcribe=on&q=front") == ["Front desk"]


def test_filters_apply_to_deleted_mailboxes(viewer, mailboxes):
    mailboxes["A"].soft_delete()
    mailboxes["D"].soft_delete()
    assert list_names(viewer, "/?state=deleted&account=acme") == ["A"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("account", "ABCD"),
        ("-account", "DCBA"),
        ("name", "ABCD"),
        ("-name", "DCBA"),
        ("created", "ABCD"),
        ("-created", "DCBA"),
        ("updated", "BCDA"),
        ("-updated", "ADCB"),
    ],
)
def test_order_sorts_the_table(viewer, mailboxes, order, expected):
    change_mailbox(mailboxes["A"], updated_at=timezone.now())
    assert "".join(list_names(viewer, f"/?order={order}")) == expected


def test_column_header_shows_and_reverses_the_order(viewer, mailboxes):
    page = viewer.get("/?order=name&q=").content.decode()
    assert 'aria-sort="ascending"' in page
    assert 'href="/?order=-name&amp;q="' in page
    assert 'aria-sort="descending"' in viewer.get("/?order=-name").content.decode()


def test_pages_of_equal_rows_do_not_overlap(viewer, account):
    moment = timezone.now()
    for _ in range(120):
        Mailbox.objects.create(account=account, name="Desk", created_at=moment)
    listed = []
    for page in (1, 2, 3):
        rows = viewer.get(f"/?order=-created&page={page}").context["page"]
        listed += [mailbox.pk for mailbox in rows]
    assert len(set(listed)) == 120


def test_each_filter_has_a_link_that_removes_it(viewer, mailboxes):
    page = viewer.get("/?account=acme&pass_code=none&q=a").content.decode()
    assert 'href="/?q=a&amp;pass_code=none"' in page
    assert 'href="/?q=a&amp;account=acme"' in page


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("account=nobody", "There is no account “nobody”"),
        ("account=%00", "There is no account “"),
        ("pass_code=strong", "strong is not one of the available choices."),
        ("order=size", "size is not one of the available choices."),
        ("state=x", "x is not one of the available choices."),
        ("q=" + "a" * 255, "at most 10 words and 254 characters"),
    ],
)
def test_invalid_filter_is_explained_and_shows_nothing(viewer, mailboxes, address, error):
    response = viewer.get(f"/?{address}")
    assert error in response.content.decode()
    assert list(response.context["page"]) == []
