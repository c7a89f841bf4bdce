"""POST /voip/mailbox/{uuid}/messages: the form with a recording."""

import gzip
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from mailboxes import contract
from mailboxes.models import Account, Mailbox, Message
from tests.conftest import headers_for
from tests.recordings import make_form, make_part, make_raw_form, make_wav

WAV = make_wav()
FILE = '; filename="message.wav"'
RECORDING = make_part("recording", WAV, FILE)


def test_message_is_added(wire, wire_path):
    fields = {"caller_id_name": "Ann", "caller_id_number": "+44 20 7946 0000", "call_id": "a@b"}
    answer = wire.post(wire_path, **make_form(WAV, received_at="2023-06-02T12:00:00Z", **fields))
    assert (answer.status, answer.json["status_message"]) == (201, "Created")
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
    one = wire.get(f"{wire_path}/{answer.result['uuid']}")
    assert (one.result, one.headers["etag"]) == (answer.result, answer.headers["etag"])
    assert wire.get(wire_path).result == [answer.result]


def test_message_without_fields_is_received_now(add):
    before = timezone.now()
    message = add()
    assert (message["caller_id_name"], message["caller_id_number"]) == (None, None)
    assert before <= Message.objects.get().received_at <= timezone.now()
    assert message["received_at"].endswith("Z")


@pytest.mark.parametrize("empty", ["", " \t"])
def test_empty_fields_are_like_those_left_out(add, empty):
    names = ["caller_id_name", "caller_id_number", "call_id", "received_at"]
    message = add(**dict.fromkeys(names, empty) | {"received_at": ""})
    assert (message["caller_id_name"], message["caller_id_number"]) == (None, None)
    assert add(call_id=empty)["uuid"] != message["uuid"]


def test_texts_are_trimmed_and_keep_every_other_character(add):
    message = add(caller_id_name=" Zoë 東京 🎉 <b>", caller_id_number=" sip:ann@pbx.example")
    assert message["caller_id_name"] == "Zoë 東京 🎉 <b>"
    assert message["caller_id_number"] == "sip:ann@pbx.example"


def test_longest_texts_are_accepted(add):
    message = add(caller_id_name="é" * 100, caller_id_number="1" * 64, call_id="c" * 255)
    assert (len(message["caller_id_name"]), len(message["caller_id_number"])) == (100, 64)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2023-06-02", "2023-06-02T00:00:00Z"),
        ("2023-06-02T12:00:00", "2023-06-02T12:00:00Z"),
        ("2023-06-02 12:00:00+02:00", "2023-06-02T10:00:00Z"),
        ("2023-06-02T12:00:00.250Z", "2023-06-02T12:00:00.250000Z"),
        ("2023-06-02T23:59:59-05:30", "2023-06-03T05:29:59Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
    ],
)
def test_time_is_served_in_utc(service, path, add, sent, expected):
    message = add(received_at=sent)
    assert message["received_at"] == expected
    assert service.get(f"{path}/{message['uuid']}").result["received_at"] == expected


def test_clock_that_is_a_little_ahead_is_taken_as_now(add):
    soon = timezone.now() + timedelta(minutes=2)
    add(received_at=soon.isoformat())
    assert Message.objects.get().received_at < soon


def test_name_type_and_unknown_fields_do_not_matter(service, path):
    name, kind = '; filename="../x.mp3\0.svg"', "Content-Type: image/svg+xml\r\n"
    unknown = [make_part(name, b"true") for name in ("heard", "heard", "mailbox", "uuid")]
    form = make_raw_form(make_part("recording", WAV, name, kind), *unknown)
    answer = service.post(path, **form)
    assert (answer.status, answer.result["heard"]) == (201, False)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (make_form(), "recording"),
        (make_form(b""), "recording"),
        (make_form(b"no audio"), "recording"),
        (make_form(WAV[:-2000]), "recording"),
        (make_form(WAV, received_at="yesterday"), "received_at"),
        (make_form(WAV, received_at="2023-06-02T25:00:00Z"), "received_at"),
        (make_form(WAV, received_at="0001-01-01T00:00:00+14:00"), "received_at"),
        (make_form(WAV, received_at="2999-01-01"), "received_at"),
        (make_form(WAV, caller_id_name="x" * 101), "caller_id_name"),
        (make_form(WAV, caller_id_name="a\nb"), "caller_id_name"),
        (make_form(WAV, caller_id_name="\u2800"), "caller_id_name"),
        (make_form(WAV, caller_id_number="a\0b"), "caller_id_number"),
        (make_form(WAV, caller_id_number="1" * 65), "caller_id_number"),
        (make_form(WAV, call_id="x" * 256), "call_id"),
        # Fields that are sent twice, as text, or as files.
        (make_form(WAV, caller_id_name=["Ann", "Bob"]), "caller_id_name"),
        (make_raw_form(RECORDING, RECORDING), "recording"),
        (make_raw_form(RECORDING, make_part("recording", b"text")), "recording"),
        (make_raw_form(make_part("recording", WAV)), "recording"),
        (make_raw_form(make_part("recording", WAV, '; filename=""')), "recording"),
        (make_raw_form(RECORDING, make_part("received_at", b"2023", FILE)), "received_at"),
        (make_raw_form(RECORDING, make_part("caller_id_name", b"A", FILE)), "caller_id_name"),
        (make_raw_form(RECORDING, make_part("call_id", b"1", FILE)), "call_id"),
        # Forms that cannot be read.
        (make_raw_form(RECORDING, content_type="multipart/form-data"), "non_field_errors"),
        (make_raw_form(*[make_part("x", b"")] * 1100, RECORDING), "non_field_errors"),
        (make_raw_form(*[make_part("x", b"1", FILE)] * 101, RECORDING), "non_field_errors"),
        (make_raw_form(make_part("recording", WAV, "; filename*=nonsense''%FF")), "recording"),
        (
            make_raw_form(
                make_part("recording", b"AAAAA", FILE, "Content-Transfer-Encoding: base64\r\n")
            ),
            "non_field_errors",
        ),
        (make_raw_form(end=b"no form at all"), "recording"),
    ],
)
def test_wrong_form_is_refused(service, path, form, field):
    answer = service.post(path, **form)
    assert (answer.status, list(answer.errors)) == (400, [field])
    assert all(error["code"] and error["message"] for error in answer.errors[field])
    assert Message.objects.count() == 0


def test_every_wrong_field_is_named(service, path):
    answer = service.post(path, **make_form(caller_id_name="x" * 101, received_at="?"))
    assert set(answer.errors) == {"recording", "caller_id_name", "received_at"}


def test_form_that_breaks_off_adds_no_message(service, path):
    form = make_raw_form(make_part("caller_id_name", b"Ann"), RECORDING)
    form["body"] = form["body"][: -len(WAV) // 2]
    assert service.post(path, **form).status == 400
    assert Message.objects.count() == 0


def test_texts_that_are_not_utf_8_do_not_lose_the_message(service, path):
    """A telephone engine passes on what a stranger's telephone says."""
    form = make_raw_form(RECORDING, make_part("caller_id_name", "Zoë".encode("latin-1")))
    assert service.post(path, **form).result["caller_id_name"] == "Zo\N{REPLACEMENT CHARACTER}"


def test_content_type_is_read_in_any_case(service, path):
    form = make_raw_form(RECORDING, content_type="Multipart/Form-Data;boundary=b")
    assert service.post(path, **form).status == 201


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "multipart/form-data-x; boundary=b", "audio/wav", "text/plain"],
)
def test_other_content_types_are_refused(wire, wire_path, content_type):
    form = make_raw_form(RECORDING, content_type=content_type)
    answer = wire.post(wire_path, **form)
    assert (answer.status, answer.json["status_code"]) == (415, 415)


def test_compressed_form_is_refused(wire, wire_path):
    form = make_form(WAV)
    form["headers"]["Content-Encoding"] = "gzip"
    answer = wire.post(wire_path, body=gzip.compress(form["body"]), headers=form["headers"])
    assert answer.status == 415


def test_recording_over_the_limit_is_refused(service, path):
    answer = service.post(path, **make_form(bytes(contract.MAX_RECORDING_BYTES + 1)))
    assert (answer.status, answer.errors["recording"][0]["code"]) == (413, "too_large")


@pytest.mark.parametrize("size", [1, contract.MAX_DISCARDED_BYTES])
def test_answer_to_a_recording_over_the_limit_reaches_the_caller(wire, wire_path, size):
    answer = wire.post(wire_path, **make_form(bytes(contract.MAX_RECORDING_BYTES + size)))
    assert (answer.status, answer.json["status_code"]) == (413, 413)
    (error,) = next(iter(answer.errors.values()))
    assert error["code"] == "too_large"
    assert wire.get(wire_path).result == []


def test_text_over_the_limit_is_refused(service, path):
    form = make_form(WAV, caller_id_name="x" * contract.MAX_BODY_BYTES)
    assert service.post(path, **form).status == 413


def test_second_message_of_a_call_is_the_first_one(service, path, add):
    first = add(call_id="one@pbx")
    answer = service.post(path, **make_form(make_wav(tone=300), call_id="one@pbx"))
    assert (answer.status, answer.result) == (200, first)
    assert Message.objects.count() == 1


def test_second_message_of_a_call_is_the_first_one_even_if_it_was_deleted(service, path, add):
    first = add(call_id="one@pbx")
    service.delete(f"{path}/{first['uuid']}")
    answer = service.post(path, **make_form(WAV, call_id="one@pbx"))
    assert (answer.status, answer.result) == (200, first)
    assert service.get(path).result == []


def test_call_of_another_mailbox_is_another_message(service, account, add):
    add(call_id="one@pbx")
    other = Mailbox.objects.create(account=account, name="Other")
    answer = service.post(
        f"/voip/mailbox/{other.uuid}/messages", **make_form(WAV, call_id="one@pbx")
    )
    assert answer.status == 201


def test_recording_of_the_least_length_is_kept(service, path):
    assert service.post(path, **make_form(make_wav(seconds=1))).status == 201
    answer = service.post(path, **make_form(make_wav(seconds=0.99)))
    assert (answer.status, answer.result) == (200, {})
    assert Message.objects.count() == 1


def test_full_mailbox_refuses_more(service, path, add, settings):
    settings.MESSAGES_PER_MAILBOX = 1
    first = add()["uuid"]
    answer = service.post(path, **make_form(WAV))
    assert (answer.status, answer.json["status_message"]) == (507, "Insufficient Storage")
    assert answer.errors["non_field_errors"][0]["code"] == "full"
    service.delete(f"{path}/{first}")
    add()


def test_full_mailbox_still_answers_with_the_message_of_a_call(service, path, add, settings):
    settings.MESSAGES_PER_MAILBOX = 1
    first = add(call_id="one")
    answer = service.post(path, **make_form(WAV, call_id="one"))
    assert (answer.status, answer.result) == (200, first)


@pytest.mark.parametrize("slash", ["", "/"])
def test_path_may_have_a_slash_and_capitals(wire, wire_path, slash):
    *start, uuid, end = wire_path.split("/")
    answer = wire.post("/".join([*start, uuid.upper(), end]) + slash, **make_form(WAV))
    assert answer.status == 201


def test_message_is_added_for_a_customer(service, account):
    customer = Account.objects.create(name="customer", reseller=account)
    mailbox = Mailbox.objects.create(account=customer, name="Theirs")
    path, form = f"/voip/mailbox/{mailbox.uuid}/messages", make_form(WAV)
    assert service.post(path, **form).status == 404
    form["headers"]["X-Auth-For"] = "customer"
    assert service.post(path, **form).status == 201
    assert Message.objects.get().mailbox == mailbox


def test_unknown_mailbox_comes_before_errors_of_the_form(wire, wire_path):
    unknown = f"/voip/mailbox/{uuid4()}/messages"
    assert wire.post(unknown, **make_form()).status == 404
    assert wire.post(unknown, **make_form(bytes(contract.MAX_RECORDING_BYTES + 1))).status == 404


def test_message_received_long_ago_is_served(add):
    add(received_at="1970-01-01")
    assert Message.objects.get().received_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_other_credentials_add_to_the_same_mailbox(account, service, path, add):
    add()
    other = headers_for(account, "second")
    assert service.post(path, body=make_form(WAV)["body"], headers=make_form()["headers"] | other)
    assert Message.objects.count() == 2


def test_log_says_nothing_of_the_caller(service, path, caplog):
    fields = {"caller_id_name": "Zebedee", "caller_id_number": "+442079460123", "call_id": "pbx-7"}
    for recording in (WAV, b"no audio", WAV[:-2000]):
        service.post(path, **make_form(recording, **fields))
    service.get(f"{path}?search=zebedee")
    assert path in caplog.text
    assert not [value for value in fields.values() if value.lower() in caplog.text.lower()]


def test_full_mailbox_is_no_error_of_the_service(service, path, add, settings, caplog):
    settings.MESSAGES_PER_MAILBOX = 0
    assert service.post(path, **make_form(WAV)).status == 507
    assert [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")] == []
