"""/voip/mailbox/{uuid}/messages: list, add, mark, delete and restore messages."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from mailboxes import contract
from mailboxes.models import Mailbox, Message
from tests.conftest import headers_for
from tests.recordings import make_form, make_wav
from tests.service import InProcess

WAV = make_wav()


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales")


@pytest.fixture
def path(mailbox):
    return f"/voip/mailbox/{mailbox.uuid}/messages"


@pytest.fixture
def add(service, path):
    """Return a function that adds a message, and returns it as the API shows it."""

    def add_message(**fields):
        answer = service.post(path, **make_form(WAV, **fields))
        assert answer.status == 201
        return answer.result

    return add_message


def create_mailbox(wire):
    return f"/voip/mailbox/{wire.post('/voip/mailbox', {'name': 'Sales'}).result['uuid']}"


def test_message_is_added(wire):
    path = f"{create_mailbox(wire)}/messages"
    fields = {"caller_id_name": "Ann", "caller_id_number": "+44 20 7946 0000", "call_id": "a@b"}
    answer = wire.post(path, **make_form(WAV, received_at="2023-06-02T12:00:00Z", **fields))
    assert answer.status == 201
    assert tuple(answer.result) == contract.MESSAGE_KEYS
    assert answer.result | {"uuid": ""} == {
        "caller_id_name": "Ann",
        "caller_id_number": "+44 20 7946 0000",
        "duration": 2,
        "heard": False,
        "received_at": "2023-06-02T12:00:00Z",
        "transcription": None,
        "transcription_status": "off",
        "uuid": "",
    }
    assert wire.get(f"{path}/{answer.result['uuid']}").result == answer.result
    assert wire.get(path).result == [answer.result]


def test_message_without_fields_is_received_now(add):
    before = timezone.now()
    message = add()
    assert (message["caller_id_name"], message["caller_id_number"]) == (None, None)
    assert before <= Message.objects.get().received_at <= timezone.now()


def test_recording_is_served_as_it_was_sent(wire):
    path = f"{create_mailbox(wire)}/messages"
    message = wire.post(path, **make_form(WAV)).result
    answer = wire.get(f"{path}/{message['uuid']}/recording")
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/wav")
    assert answer.body == WAV
    assert wire.get(f"{path}/{message['uuid']}").result["heard"] is False


def test_part_of_a_recording_is_served(wire):
    path = f"{create_mailbox(wire)}/messages"
    message = wire.post(path, **make_form(WAV)).result
    answer = wire.get(f"{path}/{message['uuid']}/recording", headers={"Range": "bytes=100-199"})
    assert (answer.status, answer.body) == (206, WAV[100:200])
    assert answer.headers["content-range"] == f"bytes 100-199/{len(WAV)}"


def test_range_after_the_end_is_refused(service, path, add):
    recording = f"{path}/{add()['uuid']}/recording"
    answer = service.get(recording, headers={"Range": f"bytes={len(WAV)}-"})
    assert (answer.status, answer.json["status_code"]) == (416, 416)
    assert answer.headers["content-range"] == f"bytes */{len(WAV)}"


def test_recording_that_a_caller_has_is_not_sent_again(service, path, add):
    recording = f"{path}/{add()['uuid']}/recording"
    etag = service.get(recording).headers["etag"]
    answer = service.get(recording, headers={"If-None-Match": etag})
    assert (answer.status, answer.body) == (304, b"")


def test_head_of_a_recording_has_its_length(wire):
    path = f"{create_mailbox(wire)}/messages"
    message = wire.post(path, **make_form(WAV)).result
    answer = wire.call("HEAD", f"{path}/{message['uuid']}/recording")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == str(len(WAV))


def test_recording_in_the_store_is_encrypted(add):
    add()
    message = Message.objects.get()
    with message.recording.open() as file:
        stored = file.read()
    assert b"RIFF" not in stored
    assert len(stored) == message.size + 28  # nonce and tag


def test_list_shows_the_newest_first_in_pages(service, path, add):
    days = ["2023-06-01", "2023-06-03", "2023-06-02", "2023-06-02"]
    added = {day: add(received_at=day)["uuid"] for day in days}
    answer = service.get(f"{path}?limit=3")
    assert (answer.headers["x-total-count"], len(answer.result)) == ("4", 3)
    rows = list(service.get_rows(f"{path}?limit=1"))
    assert [row["received_at"][:10] for row in rows] == sorted(days, reverse=True)
    assert len({row["uuid"] for row in rows}) == 4
    assert rows[0]["uuid"] == added["2023-06-03"]


def test_list_counts_unheard_messages(service, path, add):
    add()
    heard = add()["uuid"]
    service.patch(f"{path}/{heard}", {"heard": True})
    answer = service.get(f"{path}?heard=true")
    assert [row["uuid"] for row in answer.result] == [heard]
    assert answer.headers["x-total-count"] == "1"
    assert answer.headers["x-unheard-count"] == "1"


def test_list_is_filtered_by_time(service, path, add):
    add(received_at="2023-06-01T10:00:00Z")
    second = add(received_at="2023-06-02T10:00:00Z")["uuid"]
    query = "received_since=2023-06-01T10:00:01Z&received_before=2023-06-03"
    assert [row["uuid"] for row in service.get(f"{path}?{query}").result] == [second]


def test_search_finds_words_of_caller_and_transcription(service, path, add):
    added = add(caller_id_name="Łukasz", caller_id_number="+48 22 1234567")
    add(caller_id_name="Ann")
    message = Message.objects.get(pk=added["uuid"])
    message.transcription = "Please ring back about the café."
    message.save()
    for words in ("lukasz", "1234567", "CAFE", "lukasz+ring"):
        assert [row["uuid"] for row in service.get(f"{path}?search={words}").result] == [
            added["uuid"]
        ]
    assert service.get(f"{path}?search=lukasz+tomorrow").result == []


def test_message_is_marked_as_heard_and_back(service, path, add):
    one = f"{path}/{add()['uuid']}"
    for heard in (True, False):
        answer = service.patch(one, {"heard": heard})
        assert (answer.status, answer.result["heard"]) == (200, heard)
        assert service.get(one).result == answer.result


def test_mark_with_an_outdated_etag_is_refused(service, path, add):
    one = f"{path}/{add()['uuid']}"
    etag = service.get(one).headers["etag"]
    service.patch(one, {"heard": True})
    answer = service.patch(one, {"heard": False}, headers={"If-Match": etag})
    assert answer.status == 412
    assert service.get(one).result["heard"] is True


@pytest.mark.parametrize("body", [{}, {"heard": 1}, {"heard": None}])
def test_wrong_mark_is_refused(service, path, add, body):
    answer = service.patch(f"{path}/{add()['uuid']}", body)
    assert (answer.status, list(answer.errors)) == (400, ["heard"])


def test_deleted_message_is_restored(service, path, add):
    message = add()
    one = f"{path}/{message['uuid']}"
    assert service.delete(one).status == 204
    assert service.get(one).status == service.get(f"{one}/recording").status == 404
    assert service.get(path).result == []
    assert service.get(f"{path}?deleted=true").result == [message]
    answer = service.post(f"{one}/restore")
    assert (answer.status, answer.result) == (200, message)
    assert service.get(path).result == [message]


def test_message_deleted_too_long_ago_is_gone(service, path, add, settings):
    one = f"{path}/{add()['uuid']}"
    service.delete(one)
    Message.objects.update(deleted_at=timezone.now() - timedelta(days=settings.RETENTION_DAYS))
    assert service.post(f"{one}/restore").status == 404
    assert service.get(f"{path}?deleted=true").result == []


def test_messages_come_back_with_their_mailbox(service, path, add, mailbox):
    message = add()
    service.delete(f"/voip/mailbox/{mailbox.uuid}")
    assert service.get(path).status == service.get(f"{path}/{message['uuid']}").status == 404
    assert service.post(path, **make_form(WAV)).status == 404
    service.post(f"/voip/mailbox/{mailbox.uuid}/restore")
    assert service.get(path).result == [message]


def test_many_are_changed_at_once(service, path, add):
    first, second = add()["uuid"], add()["uuid"]
    unknown = str(uuid4())
    answer = service.post(
        f"{path}/bulk", {"action": "delete", "uuids": [first, unknown, second, first]}
    )
    assert answer.status == 200
    assert answer.result == {
        "done": [first, second],
        "failed": [{"uuid": unknown, "code": "not_found"}],
    }
    assert service.get(path).result == []
    service.post(f"{path}/bulk", {"action": "restore", "uuids": [first, second]})
    service.post(f"{path}/bulk", {"action": "hear", "uuids": [first, second]})
    service.post(f"{path}/bulk", {"action": "unhear", "uuids": [second]})
    heard = {row["uuid"]: row["heard"] for row in service.get(path).result}
    assert heard == {first: True, second: False}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "burn", "uuids": [str(uuid4())]}, "action"),
        ({"action": "hear", "uuids": []}, "uuids"),
        ({"action": "hear", "uuids": ["x"]}, "uuids"),
        ({"action": "hear", "uuids": [str(uuid4()) for _ in range(101)]}, "uuids"),
    ],
)
def test_wrong_bulk_change_is_refused(service, path, body, field):
    answer = service.post(f"{path}/bulk", body)
    assert (answer.status, list(answer.errors)) == (400, [field])


def test_second_message_of_a_call_is_the_first_one(service, path, add):
    first = add(call_id="one@pbx")
    answer = service.post(path, **make_form(make_wav(tone=300), call_id="one@pbx"))
    assert (answer.status, answer.result) == (200, first)
    assert Message.objects.count() == 1


def test_call_of_another_mailbox_is_another_message(service, account, add):
    add(call_id="one@pbx")
    other = Mailbox.objects.create(account=account, name="Other")
    answer = service.post(
        f"/voip/mailbox/{other.uuid}/messages", **make_form(WAV, call_id="one@pbx")
    )
    assert answer.status == 201


def test_repeated_key_adds_one_message(service, path):
    form = make_form(WAV)
    form["headers"] |= {"Idempotency-Key": "once"}
    first, second = service.post(path, **form), service.post(path, **form)
    assert (second.status, second.result) == (201, first.result)
    assert second.headers["idempotency-replayed"] == "true"
    assert Message.objects.count() == 1
    other = make_form(make_wav(tone=300))
    other["headers"] |= {"Idempotency-Key": "once"}
    assert service.post(path, **other).status == 422


def test_short_recording_is_not_kept(service, path):
    answer = service.post(path, **make_form(make_wav(seconds=0.5)))
    assert (answer.status, answer.result) == (200, {})
    assert Message.objects.count() == 0


def test_full_mailbox_refuses_more(service, path, add, settings):
    settings.MESSAGES_PER_MAILBOX = 1
    first = add()["uuid"]
    answer = service.post(path, **make_form(WAV))
    assert (answer.status, answer.errors["non_field_errors"][0]["code"]) == (507, "full")
    service.delete(f"{path}/{first}")
    add()
    assert service.post(f"{path}/{first}/restore").status == 507
    answer = service.post(f"{path}/bulk", {"action": "restore", "uuids": [first]})
    assert answer.result == {"done": [], "failed": [{"uuid": first, "code": "full"}]}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "recording"),
        ({"recording": b""}, "recording"),
        ({"recording": b"no audio"}, "recording"),
        ({"recording": WAV[:-2000]}, "recording"),
        ({"recording": WAV, "received_at": "yesterday"}, "received_at"),
        ({"recording": WAV, "received_at": "2999-01-01"}, "received_at"),
        ({"recording": WAV, "caller_id_name": "x" * 101}, "caller_id_name"),
        ({"recording": WAV, "caller_id_number": "a\0b"}, "caller_id_number"),
        ({"recording": WAV, "call_id": "x" * 256}, "call_id"),
    ],
)
def test_wrong_form_is_refused(service, path, fields, field):
    answer = service.post(path, **make_form(**fields))
    assert (answer.status, list(answer.errors)) == (400, [field])
    assert Message.objects.count() == 0


def test_clock_that_is_a_little_ahead_is_taken_as_now(add):
    soon = timezone.now() + timedelta(minutes=2)
    add(received_at=soon.isoformat())
    assert Message.objects.get().received_at < soon


def test_json_is_refused(service, path):
    assert service.post(path, {"recording": "x"}).status == 415


def test_recording_over_the_limit_is_refused(wire):
    path = f"{create_mailbox(wire)}/messages"
    answer = wire.post(path, **make_form(bytes(contract.MAX_RECORDING_BYTES + 1)))
    assert (answer.status, answer.json["status_code"]) == (413, 413)


def test_other_accounts_see_nothing(stranger, path, add):
    one = f"{path}/{add()['uuid']}"
    other = InProcess(headers_for(stranger))
    calls = [
        ("GET", path, None),
        ("GET", one, None),
        ("GET", f"{one}/recording", None),
        ("PATCH", one, {"heard": True}),
        ("DELETE", one, None),
        ("POST", f"{one}/restore", None),
        ("POST", f"{path}/bulk", {"action": "delete", "uuids": [one[-36:]]}),
    ]
    assert [other.call(*call).status for call in calls] == [404] * len(calls)
    assert other.post(path, **make_form(WAV)).status == 404
    assert Message.objects.get().version == 1
