"""POST /voip/mailbox: creates a mailbox, or names each wrong field."""

import pytest

from mailboxes.models import Mailbox

DEFAULTS = {
    "beep": True,
    "email_recipients": [],
    "greeting": None,
    "password": None,
    "play_caller_id": False,
    "play_timestamp": False,
    "transcribe": False,
}
GREETING = "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b"


def test_only_the_name_is_required_and_the_rest_has_defaults(wire):
    answer = wire.post("/voip/mailbox", {"name": "Sales"})
    assert answer.status == 201
    assert answer.result.items() >= DEFAULTS.items()


def test_created_mailbox_is_served_by_get(wire):
    created = wire.post("/voip/mailbox", {"name": "Sales", "password": "0007"}).result
    served = wire.get(f"/voip/mailbox/{created['uuid']}").result
    assert served.pop("updated_on") == created["created_on"]
    assert served == created


def test_created_mailbox_has_no_updated_on(wire):
    assert "updated_on" not in wire.post("/voip/mailbox", {"name": "Sales"}).result


def test_history_names_the_credential_as_author(service, account):
    uuid = service.post("/voip/mailbox", {"name": "Sales"}).result["uuid"]
    first = Mailbox.history.get(uuid=uuid)
    assert (first.history_type, first.history_credential.name) == ("+", "api")


def test_name_is_trimmed(service):
    assert service.post("/voip/mailbox", {"name": "  Sales\u3000"}).result["name"] == "Sales"


@pytest.mark.parametrize("name", ["x" * 100, "Zoë 東京 📞", "<b>'\"&;--", "a"])
def test_name_is_kept_as_it_was_sent(wire, name):
    assert wire.post("/voip/mailbox", {"name": name}).result["name"] == name


def test_greeting_uuid_is_served_in_lower_case(service):
    answer = service.post("/voip/mailbox", {"name": "Sales", "greeting": GREETING.upper()})
    assert answer.result["greeting"] == GREETING


@pytest.mark.parametrize("field", ["password", "greeting"])
def test_null_is_accepted_for_pass_code_and_greeting(service, field):
    answer = service.post("/voip/mailbox", {"name": "Sales", field: None})
    assert (answer.status, answer.result[field]) == (201, None)


@pytest.mark.parametrize(
    "ignored",
    [
        {"uuid": GREETING},
        {"created_on": "1999-01-01", "updated_on": 5},
        {"email_recipients": "nonsense"},
        {"mailbox": 101},
        {"account": "stranger", "deleted_at": "2020-01-01", "version": 9, "password_sealed": "x"},
    ],
)
def test_read_only_and_unknown_keys_are_ignored(service, ignored):
    answer = service.post("/voip/mailbox", {"name": "Sales"} | ignored)
    assert answer.status == 201
    assert answer.result["uuid"] != GREETING
    assert list(answer.result)[:3] == ["beep", "created_on", "email_recipients"]


def test_body_without_content_type_is_json(service):
    answer = service.call("POST", "/voip/mailbox", b'{"name": "Sales"}')
    assert answer.status == 201


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;odd=1"],
)
def test_json_content_type_in_any_spelling_is_accepted(service, content_type):
    answer = service.post("/voip/mailbox", {"name": "a"}, headers={"Content-Type": content_type})
    assert answer.status == 201


WRONG = {
    "name": ["", "   ", "x" * 101, "a\x00b", "a\nb", "a\x7fb", "a\x9fb", 5, True, [], {}, None],
    "password": [
        "",
        "123",
        "12345",
        "12a4",
        " 1234",
        "1234\n",
        "١٢٣٤",
        "\uff11\uff12\uff13\uff14",
        1234,
        12.5,
    ],
    "greeting": ["", "x", GREETING.replace("-", ""), f"{{{GREETING}}}", f"urn:uuid:{GREETING}", 1],
    "beep": ["true", "yes", 1, 0, "", [], None],
    "play_caller_id": ["false", 1, None],
    "play_timestamp": ["false", 1, None],
    "transcribe": ["false", 1, {}, None],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in WRONG.items() for value in values]
)
def test_wrong_value_is_refused_with_its_field_and_nothing_is_created(service, field, value):
    answer = service.post("/voip/mailbox", {"name": "Sales"} | {field: value})
    assert (answer.status, answer.json["result"]) == (400, {})
    assert list(answer.errors) == [field]
    assert all(list(error) == ["code", "message"] for error in answer.errors[field])
    assert not Mailbox.objects.exists()


@pytest.mark.parametrize("name", ["\u200b", "\ufeff", "\u3164", " \u200b\u2060 ", "\U000e0020"])
def test_name_that_shows_nothing_is_blank(wire, name):
    answer = wire.post("/voip/mailbox", {"name": name})
    assert (answer.status, answer.errors["name"][0]["code"]) == (400, "blank")
    assert wire.get("/voip/mailbox").result == []


def test_missing_name_is_refused(wire):
    answer = wire.post("/voip/mailbox", {"beep": False})
    assert answer.status == 400
    assert answer.errors["name"][0]["code"] == "required"


def test_all_wrong_fields_are_named_in_one_answer(service):
    answer = service.post("/voip/mailbox", {"password": 1, "beep": "x", "greeting": "x"})
    assert sorted(answer.errors) == ["beep", "greeting", "name", "password"]
