"""The table narrowed and sorted by its address."""

from uuid import uuid4

import pytest
from django.utils import timezone

from mailboxes.models import Account, Mailbox


def names(browser, address):
    return [mailbox.name for mailbox in browser.get(address).context["page"]]


@pytest.fixture
def mailboxes(account, stranger):
    """Two of acme's, one of its customer, one of a stranger."""
    customer = Account.objects.create(name="shop", reseller=account)
    made = {}
    for owner, name in ((account, "A"), (account, "B"), (customer, "C"), (stranger, "D")):
        made[name] = Mailbox.objects.create(account=owner, name=name)
    return made


def change(mailbox, **fields):
    for field, value in fields.items():
        setattr(mailbox, field, value)
    mailbox.save()


def test_by_account_with_its_customers_or_without(viewer, mailboxes):
    assert names(viewer, "/?account=acme") == ["A", "B"]
    assert names(viewer, "/?account=acme&customers=on") == ["A", "B", "C"]


def test_by_transcription(viewer, mailboxes):
    change(mailboxes["B"], transcribe=True)
    assert names(viewer, "/?transcribe=on") == ["B"]
    assert names(viewer, "/?transcribe=off") == ["A", "C", "D"]


def test_by_pass_code(viewer, mailboxes):
    change(mailboxes["A"], password="7392")
    change(mailboxes["B"], password="1234")
    assert names(viewer, "/?pass_code=weak") == ["B"]
    assert names(viewer, "/?pass_code=set") == ["A", "B"]
    assert names(viewer, "/?pass_code=none") == ["C", "D"]


def test_by_recipients(viewer, mailboxes):
    mailboxes["C"].add_recipient("ann@acme.example")
    mailboxes["C"].add_recipient("bob@acme.example")
    assert names(viewer, "/?recipients=some") == ["C"]
    assert names(viewer, "/?recipients=none") == ["A", "B", "D"]


def test_by_greeting(viewer, mailboxes):
    change(mailboxes["D"], greeting=uuid4())
    assert names(viewer, "/?greeting=set") == ["D"]
    assert names(viewer, "/?greeting=none") == ["A", "B", "C"]


def test_by_several_and_a_search(viewer, mailboxes):
    for mailbox in mailboxes.values():
        change(mailbox, transcribe=True)
    change(mailboxes["B"], name="Front desk")
    assert names(viewer, "/?account=acme&transcribe=on&q=front") == ["Front desk"]


def test_deleted_ones_are_narrowed_too(viewer, mailboxes):
    mailboxes["A"].soft_delete()
    mailboxes["D"].soft_delete()
    assert names(viewer, "/?state=deleted&account=acme") == ["A"]


@pytest.mark.parametrize(
    ("order", "shown"),
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
def test_sorted(viewer, mailboxes, order, shown):
    change(mailboxes["A"], updated_at=timezone.now())
    assert "".join(names(viewer, f"/?order={order}")) == shown


def test_a_column_says_how_it_is_sorted_and_turns_round(viewer, mailboxes):
    page = viewer.get("/?order=name&q=").content.decode()
    assert 'aria-sort="ascending"' in page
    assert 'href="/?order=-name&amp;q="' in page
    assert 'aria-sort="descending"' in viewer.get("/?order=-name").content.decode()


def test_pages_of_like_rows_neither_repeat_nor_skip(viewer, account):
    moment = timezone.now()
    for _ in range(120):
        Mailbox.objects.create(account=account, name="Desk", created_at=moment)
    found = []
    for page in (1, 2, 3):
        rows = viewer.get(f"/?order=-created&page={page}").context["page"]
        found += [mailbox.pk for mailbox in rows]
    assert len(set(found)) == 120


def test_says_what_it_is_narrowed_by_and_how_to_take_it_away(viewer, mailboxes):
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
        ("q=" + "a" * 255, "at most 254 characters"),
    ],
)
def test_what_makes_no_sense_is_said_and_shows_nothing(viewer, mailboxes, address, error):
    response = viewer.get(f"/?{address}")
    assert error in response.content.decode()
    assert list(response.context["page"]) == []
