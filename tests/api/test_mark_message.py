"""GET, PATCH and DELETE …/messages/{uuid}, and its restore."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from mailboxes import contract
from mailboxes.models import Mailbox, Message
from tests.recordings import make_form, make_wav

UNKNOWN = "31347d42-00bd-44a5-9b5c-20dc4197a2f6"


def test_message_is_shown(wire, wire_message):
    answer = wire.get(wire_message)
    assert (answer.status, tuple(answer.result)) == (200, contract.MESSAGE_KEYS)
    assert answer.headers["etag"] == '"1"'
    again = wire.get(wire_message, headers={"If-None-Match": '"1"'})
    assert (again.status, again.body) == (304, b"")
    head = wire.call("HEAD", wire_message)
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize("slash", ["", "/"])
def test_path_may_have_a_slash_and_capitals(wire, wire_message, slash):
    *start, mailbox, messages, uuid = wire_message.split("/")
    path = "/".join([*start, mailbox.upper(), messages, uuid.upper()])
    assert wire.get(path + slash).result["uuid"] == uuid
    assert wire.patch(path + slash, {"heard": True}).status == 200
    assert wire.get(f"{path}/recording{slash}").status == 200
    bulk = {"action": "unhear", "uuids": [uuid.upper()]}
    assert wire.post(f"{path.rpartition('/')[0]}/bulk{slash}", bulk).result["done"] == [uuid]
    assert wire.delete(path + slash).status == 204
    assert wire.post(f"{path}/restore{slash}").status == 200


def test_message_is_marked_as_heard_and_back(wire, wire_message):
    for version, heard in ((2, True), (3, False)):
        answer = wire.patch(wire_message, {"heard": heard})
        assert (answer.status, answer.result["heard"]) == (200, heard)
        assert answer.headers["etag"] == f'"{version}"'
        assert wire.get(wire_message).result == answer.result


def test_mark_that_changes_nothing_keeps_the_version(service, path, add):
    answer = service.patch(f"{path}/{add()['uuid']}", {"heard": False})
    assert (answer.status, answer.headers["etag"]) == (200, '"1"')


def test_mark_ignores_other_fields(service, path, add):
    message = add(caller_id_name="Ann")
    body = message | {"heard": True, "caller_id_name": "Bob", "duration": 9}
    answer = service.patch(f"{path}/{message['uuid']}", body)
    assert answer.result == message | {"heard": True}


@pytest.mark.parametrize("body", [{}, {"heard": 1}, {"heard": None}, {"heard": "true"}])
def test_wrong_mark_is_refused(service, path, add, body):
    answer = service.patch(f"{path}/{add()['uuid']}", body)
    assert (answer.status, list(answer.errors)) == (400, ["heard"])
    assert Message.objects.get().version == 1


@pytest.mark.parametrize(("body", "status"), [("[]", 400), ("{", 400), (b"", 400), ("true", 400)])
def test_mark_without_a_json_object_is_refused(service, path, add, body, status):
    assert service.patch(f"{path}/{add()['uuid']}", body).status == status


def test_mark_by_a_form_is_refused(service, path, add):
    assert service.patch(f"{path}/{add()['uuid']}", **make_form(heard="true")).status == 415


@pytest.mark.parametrize(
    "call",
    [
        ("PATCH", "", {"heard": True}),
        ("DELETE", "", None),
        ("POST", "/restore", None),
    ],
)
@pytest.mark.parametrize("tag", ['"1"', 'W/"2"', "2", '"x"'])
def test_write_with_another_etag_is_refused(service, path, add, call, tag):
    one = f"{path}/{add()['uuid']}"
    service.patch(one, {"heard": True})
    method, end, body = call
    assert service.call(method, one + end, body, headers={"If-Match": tag}).status == 412
    answer = service.get(one)
    assert (answer.result["heard"], answer.headers["etag"]) == (True, '"2"')
    assert service.call(method, one + end, body, headers={"If-Match": '"2"'}).status < 300


def test_unknown_message_comes_before_a_wrong_mark(service, path, mailbox):
    assert service.patch(f"{path}/{uuid4()}", {"heard": 1}).status == 404


def test_message_under_another_mailbox_is_unknown(service, account, add):
    uuid = add()["uuid"]
    other = Mailbox.objects.create(account=account, name="Other")
    one = f"/voip/mailbox/{other.uuid}/messages/{uuid}"
    calls = [("GET", one), ("GET", f"{one}/recording"), ("PATCH", one), ("DELETE", one)]
    calls.append(("POST", f"{one}/restore"))
    assert {service.call(*call, {"heard": True}).status for call in calls} == {404}
    assert Message.objects.get().version == 1


def test_deleted_message_is_restored(wire, wire_path, wire_message):
    message = wire.get(wire_message).result
    answer = wire.delete(wire_message)
    assert (answer.status, answer.body) == (204, b"")
    assert wire.get(wire_message).status == wire.get(f"{wire_message}/recording").status == 404
    assert wire.patch(wire_message, {"heard": True}).status == 404
    assert wire.delete(wire_message).status == 404
    assert wire.get(wire_path).result == []
    assert wire.get(f"{wire_path}?deleted=true").result == [message]
    answer = wire.post(f"{wire_message}/restore")
    assert (answer.status, answer.result) == (200, message)
    assert wire.get(wire_path).result == [message]
    assert wire.get(f"{wire_message}/recording").body == make_wav()


def test_restore_of_a_message_that_is_not_deleted_changes_nothing(service, path, add):
    answer = service.post(f"{path}/{add()['uuid']}/restore")
    assert (answer.status, answer.headers["etag"]) == (200, '"1"')


def test_restore_ignores_its_body(service, path, add):
    one = f"{path}/{add()['uuid']}"
    service.delete(one)
    assert service.post(f"{one}/restore", "no JSON").status == 200


def test_message_is_not_restored_into_a_full_mailbox(service, path, add, settings):
    settings.MESSAGES_PER_MAILBOX = 1
    first = f"{path}/{add()['uuid']}"
    service.delete(first)
    add()
    answer = service.post(f"{first}/restore")
    assert (answer.status, answer.errors["non_field_errors"][0]["code"]) == (507, "full")
    assert service.get(first).status == 404


def test_message_deleted_too_long_ago_is_gone(service, path, add, settings):
    one = f"{path}/{add()['uuid']}"
    service.delete(one)
    almost = timedelta(days=settings.RETENTION_DAYS, minutes=-1)
    Message.objects.update(deleted_at=timezone.now() - almost)
    assert len(service.get(f"{path}?deleted=true").result) == 1
    Message.objects.update(deleted_at=timezone.now() - timedelta(days=settings.RETENTION_DAYS))
    assert service.post(f"{one}/restore").status == 404
    assert service.get(f"{path}?deleted=true").result == []


def test_messages_come_back_with_their_mailbox(wire, wire_path, wire_message):
    message, mailbox = wire.get(wire_message).result, wire_path.rpartition("/")[0]
    wire.delete(mailbox)
    for path in (wire_path, wire_message, f"{wire_message}/recording"):
        assert wire.get(path).status == 404
    bulk = {"action": "delete", "uuids": [message["uuid"]]}
    assert wire.post(f"{wire_path}/bulk", bulk).status == 404
    assert wire.post(wire_path, **make_form(make_wav())).status == 404
    wire.post(f"{mailbox}/restore")
    assert wire.get(wire_path).result == [message]


def test_changes_of_messages_do_not_change_the_mailbox(service, path, add, mailbox):
    etag = service.get(f"/voip/mailbox/{mailbox.uuid}").headers["etag"]
    service.patch(f"{path}/{add()['uuid']}", {"heard": True})
    assert service.get(f"/voip/mailbox/{mailbox.uuid}").headers["etag"] == etag


@pytest.mark.parametrize(
    ("end", "method", "allowed"),
    [
        ("", "PUT", "DELETE, GET, HEAD, PATCH"),
        ("", "POST", "DELETE, GET, HEAD, PATCH"),
        ("", "OPTIONS", "DELETE, GET, HEAD, PATCH"),
        ("/recording", "POST", "GET, HEAD"),
        ("/recording", "DELETE", "GET, HEAD"),
        ("/restore", "GET", "POST"),
    ],
)
def test_other_methods_are_not_allowed(wire, wire_message, end, method, allowed):
    answer = wire.call(method, wire_message + end)
    assert (answer.status, answer.json["status_code"]) == (405, 405)
    assert ", ".join(sorted(answer.headers["allow"].split(", "))) == allowed


@pytest.mark.parametrize("uuid", ["x", "bulk/x", UNKNOWN[:-1], f"{{{UNKNOWN}}}"])
def test_malformed_uuid_is_unknown(wire, wire_path, uuid):
    for method in ("GET", "PATCH", "DELETE"):
        answer = wire.call(method, f"{wire_path}/{uuid}", {"heard": True})
        assert (answer.status, answer.json["status_code"]) == (404, 404)
