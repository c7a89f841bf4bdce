"""Idempotency-Key on the commands that change messages by POST."""

from datetime import timedelta
from uuid import uuid4

from django.utils import timezone

from mailboxes.models import Message
from tests.recordings import make_form, make_wav

WAV = make_wav()
KEY = {"Idempotency-Key": "once"}


def form(recording=WAV, **fields):
    made = make_form(recording, **fields)
    return made | {"headers": made["headers"] | KEY}


def test_repeated_upload_adds_one_message(service, path):
    first, second = service.post(path, **form()), service.post(path, **form())
    assert (second.status, second.result) == (201, first.result)
    assert second.headers["etag"] == first.headers["etag"]
    assert second.headers["idempotency-replayed"] == "true"
    assert Message.objects.count() == 1


def test_repeated_upload_of_a_call_gets_the_first_answer(service, path):
    first, second = (service.post(path, **form(call_id="one")) for _ in range(2))
    assert (second.status, second.result) == (201, first.result)
    assert second.headers["idempotency-replayed"] == "true"


def test_upload_repeated_by_a_clock_that_is_ahead_is_the_same_call(service, path):
    soon = (timezone.now() + timedelta(minutes=2)).isoformat()
    first, second = (service.post(path, **form(received_at=soon)) for _ in range(2))
    assert (second.status, second.result) == (201, first.result)


def test_key_of_another_upload_is_refused(service, path):
    service.post(path, **form())
    for other in (
        form(make_wav(tone=300)),
        form(b"no audio"),
        form(make_wav(seconds=0.5)),
        form(caller_id_name="Ann"),
    ):
        answer = service.post(path, **other)
        assert (answer.status, answer.errors["non_field_errors"][0]["code"]) == (422, "key_reused")
    assert Message.objects.count() == 1


def test_key_of_an_upload_that_was_not_kept_is_taken(service, path):
    short = form(make_wav(seconds=0.5))
    assert service.post(path, **short).result == {}
    assert service.post(path, **short).headers["idempotency-replayed"] == "true"
    assert service.post(path, **form()).status == 422


def test_key_of_a_refused_upload_can_be_used_again(service, path):
    assert service.post(path, **form(b"no audio")).status == 400
    assert service.post(path, **form()).status == 201


def test_wrong_key_is_refused_before_the_recording_is_decoded(service, path):
    made = make_form(b"no audio")
    made["headers"] |= {"Idempotency-Key": "two words"}
    answer = service.post(path, **made)
    assert (answer.status, list(answer.errors)) == (400, ["Idempotency-Key"])


def test_repeated_restore_gets_the_first_answer(service, path, add):
    one = f"{path}/{add()['uuid']}"
    service.delete(one)
    first = service.post(f"{one}/restore", headers=KEY)
    service.delete(one)
    second = service.post(f"{one}/restore", headers=KEY)
    assert (second.status, second.result) == (200, first.result)
    assert service.get(one).status == 404


def test_repeated_bulk_change_gets_the_first_answer(service, path, add):
    uuids = [add()["uuid"], str(uuid4())]
    delete = {"action": "delete", "uuids": uuids}
    first = service.post(f"{path}/bulk", delete, headers=KEY)
    second = service.post(f"{path}/bulk", delete, headers=KEY)
    assert (second.status, second.result) == (200, first.result)
    assert second.headers["idempotency-replayed"] == "true"
    assert "etag" not in second.headers
    assert service.post(f"{path}/bulk", delete | {"action": "hear"}, headers=KEY).status == 422
