"""GET /voip/mailbox/{uuid}/messages: pages, filters and headers."""

import base64
from uuid import uuid4

import pytest

from mailboxes.models import Account, Mailbox, Message
from tests.recordings import make_form, make_wav


def get_uuids(service, path, **kwargs):
    return [row["uuid"] for row in service.get(path, **kwargs).result]


def test_list_of_an_empty_mailbox_is_empty(wire, wire_path):
    answer = wire.get(wire_path)
    assert (answer.status, answer.result) == (200, [])
    assert (answer.headers["x-total-count"], answer.headers["x-unheard-count"]) == ("0", "0")
    assert "link" not in answer.headers


def test_list_shows_the_newest_first_in_pages(service, path, add):
    days = ["2023-06-01", "2023-06-03", "2023-06-02", "2023-06-02"]
    added = {day: add(received_at=day)["uuid"] for day in days}
    answer = service.get(f"{path}?limit=3")
    assert (answer.headers["x-total-count"], len(answer.result)) == ("4", 3)
    rows = list(service.get_rows(f"{path}?limit=1"))
    assert [row["received_at"][:10] for row in rows] == sorted(days, reverse=True)
    assert len({row["uuid"] for row in rows}) == 4
    assert rows[0]["uuid"] == added["2023-06-03"]


def test_pages_keep_their_filter_and_skip_nothing_that_stays(service, path, add):
    for day in range(1, 6):
        add(received_at=f"2023-06-0{day}", caller_id_name="Ann" if day % 2 else "Bob")
    rows = service.get_rows(f"{path}?limit=1&search=ann")
    newest = next(rows)
    service.delete(f"{path}/{newest['uuid']}")
    add(caller_id_name="Ann")
    assert [row["received_at"][:10] for row in rows] == ["2023-06-03", "2023-06-01"]


def test_list_counts_unheard_messages(service, path, add):
    add()
    heard, deleted = add()["uuid"], add()["uuid"]
    service.patch(f"{path}/{heard}", {"heard": True})
    service.delete(f"{path}/{deleted}")
    for query, total in (("", 2), ("?heard=true", 1), ("?heard=false", 1), ("?deleted=true", 1)):
        answer = service.get(path + query)
        assert len(answer.result) == total
        assert answer.headers["x-total-count"] == str(total)
        assert answer.headers["x-unheard-count"] == "1"
    assert get_uuids(service, f"{path}?heard=true") == [heard]


def test_list_is_filtered_by_time(service, path, add):
    first = add(received_at="2023-06-01T10:00:00Z")["uuid"]
    second = add(received_at="2023-06-02T10:00:00Z")["uuid"]
    for query, expected in {
        "received_since=2023-06-01T10:00:01Z&received_before=2023-06-03": [second],
        "received_since=2023-06-01T10:00:00Z": [second, first],
        "received_before=2023-06-02T10:00:00Z": [first],
        "received_since=2023-06-02&received_before=2023-06-01": [],
        "received_before=2023-06-01T12:00:00%2B02:00": [],
    }.items():
        assert get_uuids(service, f"{path}?{query}") == expected


def test_search_finds_words_of_caller_and_transcription(service, path, add):
    added = add(caller_id_name="Łukasz", caller_id_number="+48 22 1234567")
    add(caller_id_name="Ann")
    message = Message.objects.get(pk=added["uuid"])
    message.transcription = "Please ring back about the café."
    message.save()
    for words in ("lukasz", "1234567", "CAFE", "lukasz+ring"):
        assert get_uuids(service, f"{path}?search={words}") == [added["uuid"]]
    answer = service.get(f"{path}?search=lukasz+tomorrow")
    assert (answer.result, answer.headers["x-total-count"]) == ([], "0")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("heard=1", "heard"),
        ("heard=", "heard"),
        ("deleted=yes", "deleted"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("received_since=yesterday", "received_since"),
        ("received_before=2023-13-01", "received_before"),
        ("received_before=0001-01-01T00:00:00%2B14:00", "received_before"),
        ("search=", "search"),
        ("search=%00", "search"),
        ("search=" + "x+" * 11, "search"),
        ("search=" + "x" * 255, "search"),
        ("cursor=x", "cursor"),
        ("cursor=%FF", "cursor"),
        ("cursor=" + base64.b64encode(b'["2023-06-02",5]').decode(), "cursor"),
        ("cursor=" + base64.b64encode(b'[5,"x"]').decode(), "cursor"),
        ("cursor=" + base64.b64encode(b"[" * 2000).decode(), "cursor"),
        ("heard=true&order=name", "order"),
        ("limit=1&updated_since=2023-06-01", "updated_since"),
    ],
)
def test_wrong_parameter_is_named(service, path, query, field):
    answer = service.get(f"{path}?{query}")
    assert (answer.status, list(answer.errors)) == (400, [field])


def test_unknown_mailbox_comes_before_a_wrong_parameter(service, account):
    assert service.get(f"/voip/mailbox/{uuid4()}/messages?limit=0").status == 404


def test_unknown_parameters_alone_are_ignored(service, path, add):
    uuid = add()["uuid"]
    assert get_uuids(service, f"{path}?page=2&mailbox=100") == [uuid]


def test_cursor_of_another_mailbox_shows_none_of_its_messages(service, account, path, add):
    add(received_at="2023-06-01")
    add(received_at="2023-06-02")
    link = service.get(f"{path}?limit=1").headers["link"]
    cursor = link.partition("cursor=")[2].partition("&")[0].partition(">")[0]
    other = Mailbox.objects.create(account=account, name="Other")
    assert service.get(f"/voip/mailbox/{other.uuid}/messages?cursor={cursor}").result == []


def test_list_that_has_not_changed_is_not_sent_again(service, path, add):
    message = f"{path}/{add()['uuid']}"
    etag = service.get(path).headers["etag"]
    answer = service.get(path, headers={"If-None-Match": etag})
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    for change in (
        lambda: service.patch(message, {"heard": True}),
        lambda: service.delete(message),
        lambda: service.post(f"{message}/restore"),
    ):
        before = service.get(path).headers["etag"]
        change()
        assert service.get(path, headers={"If-None-Match": before}).status == 200


def test_head_of_a_list_has_its_headers(wire, wire_path):
    wire.post(wire_path, **make_form(make_wav()))
    answer = wire.call("HEAD", f"{wire_path}/")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["x-unheard-count"] == "1"


def test_mailbox_of_another_account_has_no_list(service, stranger):
    other = Mailbox.objects.create(account=stranger, name="Theirs")
    assert service.get(f"/voip/mailbox/{other.uuid}/messages").status == 404


def test_list_of_a_customer_is_shown_to_its_reseller(service, account):
    customer = Account.objects.create(name="customer", reseller=account)
    mailbox = Mailbox.objects.create(account=customer, name="Theirs")
    path = f"/voip/mailbox/{mailbox.uuid}/messages"
    assert service.get(path, headers={"X-Auth-For": "customer"}).result == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_not_allowed(wire, wire_path, method):
    answer = wire.call(method, wire_path, {})
    assert (answer.status, answer.json["status_code"]) == (405, 405)
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_body_of_a_get_is_ignored(wire, wire_path):
    answer = wire.get(wire_path, body=b"{")
    assert (answer.status, answer.result) == (200, [])
