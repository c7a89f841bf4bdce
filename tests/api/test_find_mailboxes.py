"""Parameters of the list: search, filters, order and pages."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.api import lists
from mailboxes.api.finding import Page
from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.service import InProcess

LIST = "/voip/mailbox"
UUID = "31347d42-00bd-44a5-9b5c-20dc4197a2f6"


@pytest.fixture
def mailboxes(account):
    """Sales with all fields, Support with few, and Attic, which is deleted, in this order."""
    created = {}
    for day, (name, fields) in enumerate(
        {"Sales": {"transcribe": True, "password": "4829"}, "Support": {}, "Attic": {}}.items(),
        start=1,
    ):
        created_at = datetime(2023, 6, day, 12, tzinfo=UTC)
        created[name] = Mailbox.objects.create(
            account=account, name=name, created_at=created_at, **fields
        )
    created["Sales"].add_recipient("Pete@acme.example")
    created["Attic"].soft_delete()
    Mailbox.objects.filter(name="Support").update(updated_at=datetime(2024, 1, 1, tzinfo=UTC))
    return created


def get_names(answer):
    assert answer.status == 200, answer.body
    return [mailbox["name"] for mailbox in answer.result]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=sal", ["Sales"]),
        ("search=PETE@acme", ["Sales"]),
        ("search=pete%20SAL%20acme", ["Sales"]),
        ("search=s%C3%A1les", ["Sales"]),
        ("search=nothing", []),
        ("search=%CC%81", []),  # an accent alone
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
def test_filters_and_order_return_the_expected_mailboxes(service, mailboxes, query, found):
    assert get_names(service.get(f"{LIST}?{query}")) == found


def test_search_finds_a_mailbox_by_part_of_its_uuid(service, mailboxes):
    uuid = str(mailboxes["Sales"].pk)
    for part in (uuid, uuid.replace("-", ""), uuid[9:23]):
        assert get_names(service.get(f"{LIST}?search={part}")) == ["Sales"]


def test_x_total_count_covers_all_pages(service, mailboxes):
    assert service.get(LIST).headers["x-total-count"] == "2"
    assert service.get(f"{LIST}?limit=1").headers["x-total-count"] == "2"
    assert service.get(f"{LIST}?search=sales").headers["x-total-count"] == "1"


def fetch_pages(service, query):
    """Yield the names on each page, following the Link headers."""
    address = f"{LIST}?{query}"
    while address:
        answer = service.get(address)
        yield get_names(answer)
        link = answer.headers.get("link", "")
        address = link and link.removeprefix("<http://localhost").removesuffix('>; rel="next"')


@pytest.mark.parametrize("order", ["created", "-created", "name", "-name", "updated", "-updated"])
def test_pages_have_each_mailbox_once_in_order(service, account, order):
    for number in range(7):
        Mailbox.objects.create(account=account, name=f"Box {number % 3}")
    whole = service.get(f"{LIST}?order={order}").result
    paged = [name for page in fetch_pages(service, f"order={order}&limit=2") for name in page]
    assert paged == [mailbox["name"] for mailbox in whole]


def test_added_and_deleted_mailboxes_shift_no_page(service, account):
    boxes = [Mailbox.objects.create(account=account, name=f"Box {n}") for n in range(6)]
    pages = fetch_pages(service, "limit=2")
    assert next(pages) == ["Box 0", "Box 1"]
    boxes[0].soft_delete()
    boxes[1].soft_delete()
    Mailbox.objects.create(account=account, name="New")
    assert list(pages) == [["Box 2", "Box 3"], ["Box 4", "Box 5"], ["New"]]


def test_mailboxes_created_at_the_same_time_are_each_on_one_page(service, account):
    created_at = datetime(2023, 6, 2, tzinfo=UTC)
    Mailbox.objects.bulk_create(
        Mailbox(account=account, name=f"Box {n}", created_at=created_at) for n in range(5)
    )
    assert sorted(name for page in fetch_pages(service, "limit=2") for name in page) == [
        f"Box {n}" for n in range(5)
    ]


def test_page_has_the_same_keys_as_the_whole_list(service, mailboxes):
    answer = service.get(f"{LIST}?limit=1")
    assert list(answer.json) == ["result", "status_code", "status_message"]


@pytest.mark.parametrize(
    ("query", "parameters"),
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
        ("search=" + "+".join("s" * 11), ["search"]),
        ("name=%00", ["name"]),
        ("recipient=%00", ["recipient"]),
        ("limit=1&sort=name", ["sort"]),
        ("limit=0&sort=name&order=x", ["limit", "order", "sort"]),
    ],
)
def test_wrong_parameters_are_named(service, mailboxes, query, parameters):
    answer = service.get(f"{LIST}?{query}")
    assert (answer.status, sorted(answer.errors)) == (400, parameters)


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
def test_forged_cursor_is_refused(service, place):
    cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).decode()
    answer = service.get(f"{LIST}?order=name&cursor={quote(cursor)}")
    assert (answer.status, list(answer.errors)) == (400, ["cursor"])


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_deeply_nested_cursor_is_refused(service, bracket):
    cursor = base64.urlsafe_b64encode(bracket.encode() * 1100).decode()
    answer = service.get(f"{LIST}?cursor={cursor}")
    assert (answer.status, list(answer.errors)) == (400, ["cursor"])


def test_cursor_of_another_order_is_refused(service, mailboxes):
    link = service.get(f"{LIST}?limit=1").headers["link"]
    query = urlsplit(link[1:].partition(">")[0]).query
    answer = service.get(f"{LIST}?{query}&order=name")
    assert (answer.status, list(answer.errors)) == (400, ["cursor"])


def test_cursor_of_another_account_reveals_nothing_of_it(service, mailboxes, stranger):
    Mailbox.objects.create(account=stranger, name="Theirs")
    link = service.get(f"{LIST}?limit=1").headers["link"]
    query = urlsplit(link[1:].partition(">")[0]).query
    assert get_names(InProcess(headers_for(stranger)).get(f"{LIST}?{query}")) == ["Theirs"]


def test_mailbox_past_the_retention_is_not_listed_as_deleted(service, mailboxes):
    Mailbox.objects.filter(name="Attic").update(deleted_at=datetime(2023, 7, 1, tzinfo=UTC))
    assert get_names(service.get(f"{LIST}?deleted=true")) == []


@pytest.mark.parametrize("query", ["limit=5", "search=box", "order=-name&limit=3"])
def test_number_of_queries_does_not_depend_on_the_number_of_mailboxes(
    service, account, query, django_assert_num_queries
):
    service.get("/authenticated")
    for rows in (5, 20):
        for number in range(rows):
            Mailbox.objects.create(account=account, name=f"Box {number}")
        with django_assert_num_queries(4 if "limit" in query else 2):
            service.get(f"{LIST}?{query}")


@pytest.mark.parametrize("query", ["search=box", "order=name", "updated_since=2023-01-01"])
def test_length_of_queries_does_not_depend_on_the_number_of_mailboxes(service, account, query):
    """An account may have more mailboxes than the 65,535 parameters of a PostgreSQL query."""
    service.get("/authenticated")
    lengths = set()
    for rows in (5, 20):
        for number in range(rows):
            Mailbox.objects.create(account=account, name=f"Box {number}")
        with CaptureQueriesContext(connection) as captured:
            assert len(get_names(service.get(f"{LIST}?{query}"))) >= rows
        lengths.add(len(captured[-1]["sql"]))
    assert len(lengths) == 1


def test_mailbox_deleted_after_the_page_was_chosen_is_left_out(account):
    boxes = [Mailbox.objects.create(account=account, name=f"Box {number}") for number in range(3)]
    page = Page(account.mailboxes, {"limit": 3})
    boxes[1].soft_delete()
    rows, _headers = lists.render_texts(page.texts())
    assert [mailbox["name"] for mailbox in orjson.loads(orjson.dumps(rows))] == ["Box 0", "Box 2"]


def test_parameters_of_the_list_are_ignored_for_one_mailbox(service, mailboxes):
    path = f"{LIST}/{mailboxes['Sales'].pk}"
    assert service.get(f"{path}?name=Support&limit=0").status == 200


def test_filters_work_over_the_wire(wire):
    for name in ("Zoë", "東京"):
        wire.post(LIST, {"name": name})
    assert get_names(wire.get(f"{LIST}?name={quote('東京')}&limit=1")) == ["東京"]


@pytest.mark.parametrize(
    ("name", "most"),
    [("search", 254), ("name", 100), ("recipient", 254)],
)
def test_overlong_parameter_is_refused_by_its_name(service, mailboxes, name, most):
    answer = service.get(f"{LIST}?{name}={'x' * (most + 1)}")
    assert answer.status == 400
    assert list(answer.errors) == [name]
    assert f"no more than {most} characters" in answer.errors[name][0]["message"]
    assert service.get(f"{LIST}?{name}={'x' * most}").status == 200


def test_many_wrong_parameters_get_a_short_answer(service, mailboxes):
    query = "&".join(f"x{number}=1" for number in range(900))
    answer = service.get(f"{LIST}?limit=1&{query}")
    assert (answer.status, len(answer.errors)) == (400, 10)


def test_more_parameters_than_anybody_needs_are_refused(service, mailboxes):
    query = "&".join(f"x{number}=1" for number in range(2000))
    answer = service.get(f"{LIST}?limit=1&{query}")
    assert (answer.status, answer.json["status_code"]) == (400, 400)


def test_deleted_mailboxes_come_in_pages(service, account, monkeypatch):
    monkeypatch.setattr("mailboxes.api.finding.MAX_LIMIT", 2)
    for number in range(3):
        Mailbox.objects.create(account=account, name=f"Box {number}").soft_delete()
    answer = service.get(f"{LIST}?deleted=true")
    assert [row["name"] for row in answer.result] == ["Box 0", "Box 1"]
    assert answer.headers["x-total-count"] == "3"
    address = urlsplit(answer.headers["link"].partition(">")[0][1:])
    (last,) = service.get(f"{address.path}?{address.query}").result
    assert last["name"] == "Box 2"
