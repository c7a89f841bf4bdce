"""Parameters of the list. With none of them it is the contract's: test_list_mailboxes.py."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.api import representation
from mailboxes.api.finding import Page
from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.service import InProcess

LIST = "/voip/mailbox"
UUID = "31347d42-00bd-44a5-9b5c-20dc4197a2f6"


@pytest.fixture
def mailboxes(account):
    """Sales with everything, Support with nothing, Attic that is deleted; made in this order."""
    made = {}
    for day, (name, fields) in enumerate(
        {
            "Sales": {"transcribe": True, "password": "4829"},
            "Support": {},
            "Attic": {},
        }.items(),
        start=1,
    ):
        created_at = datetime(2023, 6, day, 12, tzinfo=UTC)
        made[name] = Mailbox.objects.create(
            account=account, name=name, created_at=created_at, **fields
        )
    made["Sales"].add_recipient("Pete@acme.example")
    made["Attic"].soft_delete()
    Mailbox.objects.filter(name="Support").update(updated_at=datetime(2024, 1, 1, tzinfo=UTC))
    return made


def names(answer):
    assert answer.status == 200, answer.body
    return [mailbox["name"] for mailbox in answer.result]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=sal", ["Sales"]),
        ("search=PETE@acme", ["Sales"]),
        ("search=nothing", []),
        ("name=Support", ["Support"]),
        ("name=Supp", []),
        ("transcribe=true", ["Sales"]),
        ("transcribe=false", ["Support"]),
        ("has_password=true", ["Sales"]),
        ("has_password=false", ["Support"]),
        ("recipient=pete@ACME.example", ["Sales"]),
        ("recipient=pete", []),
        ("updated_since=2024-01-02", ["Sales"]),
        ("updated_since=2024-01-01", ["Sales", "Support"]),
        ("updated_since=2024-01-01T00:00:01Z", ["Sales"]),
        ("deleted=true", ["Attic"]),
        ("deleted=false", ["Sales", "Support"]),
        ("order=name", ["Sales", "Support"]),
        ("order=-name", ["Support", "Sales"]),
        ("order=-created", ["Support", "Sales"]),
        ("order=updated", ["Support", "Sales"]),
        ("transcribe=false&has_password=true", []),
        ("limit=1", ["Sales"]),
    ],
)
def test_what_is_found(service, mailboxes, query, found):
    assert names(service.get(f"{LIST}?{query}")) == found


def test_a_uuid_is_found_by_a_part(service, mailboxes):
    uuid = str(mailboxes["Sales"].pk)
    for part in (uuid, uuid.replace("-", ""), uuid[9:23]):
        assert names(service.get(f"{LIST}?search={part}")) == ["Sales"]


def test_the_count_is_of_all_pages(service, mailboxes):
    assert service.get(LIST).headers["x-total-count"] == "2"
    assert service.get(f"{LIST}?limit=1").headers["x-total-count"] == "2"
    assert service.get(f"{LIST}?search=sales").headers["x-total-count"] == "1"


def pages(service, query):
    """The names on each page, following the Link headers."""
    address = f"{LIST}?{query}"
    while address:
        answer = service.get(address)
        yield names(answer)
        link = answer.headers.get("link", "")
        address = link and link.removeprefix("<http://localhost").removesuffix('>; rel="next"')


@pytest.mark.parametrize("order", ["created", "-created", "name", "-name", "updated", "-updated"])
def test_pages_hold_each_row_once_in_order(service, account, order):
    for number in range(7):
        Mailbox.objects.create(account=account, name=f"Box {number % 3}")
    whole = service.get(f"{LIST}?order={order}").result
    one_by_one = [name for page in pages(service, f"order={order}&limit=2") for name in page]
    assert one_by_one == [mailbox["name"] for mailbox in whole]


def test_rows_that_come_and_go_move_nothing(service, account):
    boxes = [Mailbox.objects.create(account=account, name=f"Box {n}") for n in range(6)]
    walk = pages(service, "limit=2")
    assert next(walk) == ["Box 0", "Box 1"]
    boxes[0].soft_delete()
    boxes[1].soft_delete()
    Mailbox.objects.create(account=account, name="New")
    assert list(walk) == [["Box 2", "Box 3"], ["Box 4", "Box 5"], ["New"]]


def test_rows_made_in_the_same_moment_are_not_lost(service, account):
    moment = datetime(2023, 6, 2, tzinfo=UTC)
    Mailbox.objects.bulk_create(
        Mailbox(account=account, name=f"Box {n}", created_at=moment) for n in range(5)
    )
    assert sorted(name for page in pages(service, "limit=2") for name in page) == [
        f"Box {n}" for n in range(5)
    ]


def test_the_body_keeps_its_shape_on_a_page(service, mailboxes):
    answer = service.get(f"{LIST}?limit=1")
    assert list(answer.json) == ["result", "status_code", "status_message"]


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("transcribe=yes", ["transcribe"]),
        ("transcribe=True", ["transcribe"]),
        ("has_password=1", ["has_password"]),
        ("deleted=", ["deleted"]),
        ("updated_since=yesterday", ["updated_since"]),
        ("updated_since=2023-02-30", ["updated_since"]),
        ("updated_since=2023-06-02T25:00:00Z", ["updated_since"]),
        ("updated_since=9999-12-31T23:59:59-14:00", ["updated_since"]),
        ("updated_since=0001-01-01T00:00:00%2B14:00", ["updated_since"]),
        ("order=password", ["order"]),
        ("order=--name", ["order"]),
        ("limit=0", ["limit"]),
        ("limit=1001", ["limit"]),
        ("limit=many", ["limit"]),
        ("limit=" + "9" * 5000, ["limit"]),
        ("cursor=nonsense", ["cursor"]),
        ("cursor=%00", ["cursor"]),
        ("cursor=W10=", ["cursor"]),
        ("search=", ["search"]),
        ("search=%00", ["search"]),
        ("name=%00", ["name"]),
        ("recipient=%00", ["recipient"]),
        ("limit=1&sort=name", ["sort"]),
        ("limit=0&sort=name&order=x", ["limit", "order", "sort"]),
    ],
)
def test_a_wrong_parameter_is_named(service, mailboxes, query, wrong):
    answer = service.get(f"{LIST}?{query}")
    assert (answer.status, sorted(answer.errors)) == (400, wrong)


@pytest.mark.parametrize(
    "place",
    [
        [],
        5,
        ["name"],
        ["name", "a\0b", UUID],
        ["name", "\ud800", UUID],
        ["name", 5, UUID],
        ["created", "yesterday", UUID],
        ["created", "9999-12-31T23:59:59-14:00", UUID],
        ["created", None, UUID],
        ["password", "x", UUID],
        [["name"], "x", UUID],
        ["name", "x", "no uuid"],
        ["name", "x", 5],
    ],
    ids=repr,
)
def test_a_cursor_made_by_hand_breaks_nothing(service, place):
    cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    answer = service.get(f"{LIST}?order=name&cursor={quote(cursor)}")
    assert (answer.status, list(answer.errors)) == (400, ["cursor"])


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_a_cursor_nested_without_end_breaks_nothing(service, bracket):
    cursor = base64.urlsafe_b64encode(bracket.encode() * 1100).decode()
    answer = service.get(f"{LIST}?cursor={cursor}")
    assert (answer.status, list(answer.errors)) == (400, ["cursor"])


def test_a_cursor_belongs_to_its_order(service, mailboxes):
    link = service.get(f"{LIST}?limit=1").headers["link"]
    query = urlsplit(link[1:].partition(">")[0]).query
    answer = service.get(f"{LIST}?{query}&order=name")
    assert (answer.status, list(answer.errors)) == (400, ["cursor"])


def test_a_cursor_of_another_account_shows_nothing_of_it(service, mailboxes, stranger):
    Mailbox.objects.create(account=stranger, name="Theirs")
    link = service.get(f"{LIST}?limit=1").headers["link"]
    query = urlsplit(link[1:].partition(">")[0]).query
    assert names(InProcess(headers_for(stranger)).get(f"{LIST}?{query}")) == ["Theirs"]


def test_only_what_can_be_restored_is_listed_as_deleted(service, mailboxes):
    Mailbox.objects.filter(name="Attic").update(deleted_at=datetime(2023, 7, 1, tzinfo=UTC))
    assert names(service.get(f"{LIST}?deleted=true")) == []


@pytest.mark.parametrize("query", ["limit=5", "search=box", "order=-name&limit=3"])
def test_the_queries_do_not_depend_on_the_rows(service, account, query, django_assert_num_queries):
    service.get("/authenticated")
    for rows in (5, 20):
        for number in range(rows):
            Mailbox.objects.create(account=account, name=f"Box {number}")
        with django_assert_num_queries(4 if "limit" in query else 2):
            service.get(f"{LIST}?{query}")


@pytest.mark.parametrize("query", ["search=box", "order=name", "updated_since=2023-01-01"])
def test_a_long_list_makes_no_long_query(service, account, query):
    """PostgreSQL takes 65,535 values with a query, and accounts may have more mailboxes."""
    service.get("/authenticated")
    lengths = set()
    for rows in (5, 20):
        for number in range(rows):
            Mailbox.objects.create(account=account, name=f"Box {number}")
        with CaptureQueriesContext(connection) as captured:
            assert len(names(service.get(f"{LIST}?{query}"))) >= rows
        lengths.add(len(captured[-1]["sql"]))
    assert len(lengths) == 1


def test_what_is_deleted_while_a_page_is_made_is_not_on_it(account):
    boxes = [Mailbox.objects.create(account=account, name=f"Box {number}") for number in range(3)]
    page = Page(account.mailboxes, {"limit": 3})
    boxes[1].soft_delete()
    shown, _headers = representation.listed(page.rows())
    assert [mailbox["name"] for mailbox in orjson.loads(orjson.dumps(shown))] == ["Box 0", "Box 2"]


def test_elsewhere_they_are_stray_and_ignored(service, mailboxes):
    path = f"{LIST}/{mailboxes['Sales'].pk}"
    assert service.get(f"{path}?name=Support&limit=0").status == 200


def test_over_the_wire(wire):
    for name in ("Zoë", "東京"):
        wire.post(LIST, {"name": name})
    assert names(wire.get(f"{LIST}?name={quote('東京')}&limit=1")) == ["東京"]
