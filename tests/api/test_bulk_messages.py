"""POST …/messages/bulk: one change of several messages."""

from uuid import uuid4

import pytest

from mailboxes.models import Mailbox, Message
from tests.recordings import make_form, make_wav


@pytest.fixture
def change(service, path):
    """Return a function that changes messages, and returns those done and failed."""

    def change_messages(action, *uuids):
        answer = service.post(f"{path}/bulk", {"action": action, "uuids": uuids})
        assert answer.status == 200
        return answer.result

    return change_messages


def fail(*uuids, code="not_found"):
    return [{"uuid": uuid, "code": code} for uuid in uuids]


def test_many_are_changed_at_once(wire, wire_path):
    first, second = (wire.post(wire_path, **make_form(make_wav())).result["uuid"] for _ in "12")
    unknown = str(uuid4())
    answer = wire.post(
        f"{wire_path}/bulk", {"action": "delete", "uuids": [first, unknown, second, first]}
    )
    assert answer.status == 200
    assert list(answer.result) == ["done", "failed"]
    assert answer.result == {"done": [first, second], "failed": fail(unknown)}
    assert "etag" not in answer.headers
    assert wire.get(wire_path).result == []
    for action, uuids in (
        ("restore", [first, second]),
        ("hear", [first, second]),
        ("unhear", [second]),
    ):
        answer = wire.post(f"{wire_path}/bulk", {"action": action, "uuids": uuids})
        assert answer.result == {"done": uuids, "failed": []}
    heard = {row["uuid"]: row["heard"] for row in wire.get(wire_path).result}
    assert heard == {first: True, second: False}


@pytest.mark.parametrize("action", ["hear", "unhear", "delete"])
def test_deleted_message_can_only_be_restored(service, path, add, change, action):
    uuid = add()["uuid"]
    change("delete", uuid)
    version = Message.objects.get().version
    assert change(action, uuid) == {"done": [], "failed": fail(uuid)}
    assert Message.objects.get().version == version
    assert change("restore", uuid) == {"done": [uuid], "failed": []}


@pytest.mark.parametrize("action", ["unhear", "restore"])
def test_message_that_is_as_wanted_is_done_and_keeps_its_version(add, change, action):
    uuid = add()["uuid"]
    assert change(action, uuid) == {"done": [uuid], "failed": []}
    assert Message.objects.get().version == 1


def test_full_mailbox_takes_back_as_many_as_it_may_have(add, change, settings):
    settings.MESSAGES_PER_MAILBOX = 2
    first, second = add()["uuid"], add()["uuid"]
    change("delete", first, second)
    add()
    assert change("restore", first, second) == {
        "done": [first],
        "failed": fail(second, code="full"),
    }


def test_messages_of_other_mailboxes_are_not_found(service, account, stranger, path, add, change):
    uuid = add()["uuid"]
    for owner in (account, stranger):
        other = Mailbox.objects.create(account=owner, name="Other")
        answer = service.post(
            f"/voip/mailbox/{other.uuid}/messages/bulk", {"action": "delete", "uuids": [uuid]}
        )
        if owner == account:
            assert answer.result == {"done": [], "failed": fail(uuid)}
        else:
            assert answer.status == 404
    assert service.get(f"{path}/{uuid}").status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "burn", "uuids": [str(uuid4())]}, "action"),
        ({"action": ["hear"], "uuids": [str(uuid4())]}, "action"),
        ({"action": None, "uuids": [str(uuid4())]}, "action"),
        ({"uuids": [str(uuid4())]}, "action"),
        ({"action": "hear"}, "uuids"),
        ({"action": "hear", "uuids": []}, "uuids"),
        ({"action": "hear", "uuids": ["x"]}, "uuids"),
        ({"action": "hear", "uuids": [str(uuid4()), 5, None]}, "uuids"),
        ({"action": "hear", "uuids": str(uuid4())}, "uuids"),
        ({"action": "hear", "uuids": {"0": str(uuid4())}}, "uuids"),
        ({"action": "hear", "uuids": [str(uuid4()) for _ in range(101)]}, "uuids"),
    ],
)
def test_wrong_bulk_change_is_refused(service, path, body, field):
    answer = service.post(f"{path}/bulk", body)
    assert (answer.status, list(answer.errors)) == (400, [field])
    assert all(set(error) == {"code", "message"} for error in answer.errors[field])


def test_a_hundred_messages_are_changed_at_once(change):
    uuids = [str(uuid4()) for _ in range(100)]
    assert change("hear", *uuids) == {"done": [], "failed": fail(*uuids)}


def test_unknown_mailbox_comes_before_a_wrong_change(service, db):
    assert service.post(f"/voip/mailbox/{uuid4()}/messages/bulk", {"action": "x"}).status == 404


def test_bulk_change_by_a_form_is_refused(service, path):
    assert service.post(f"{path}/bulk", **make_form(action="hear")).status == 415


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_not_allowed(wire, wire_path, method):
    answer = wire.call(method, f"{wire_path}/bulk", {})
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
