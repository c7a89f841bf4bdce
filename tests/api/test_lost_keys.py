"""Pass codes whose key is lost are null in answers, until new ones replace them."""

import secrets

import pytest

from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.models import Mailbox
from tests.service import shows

LIST = "/voip/mailbox"
LOST_KEYS = KeyRing([secrets.token_bytes(KEY_BYTES)])


@pytest.fixture
def lost(account):
    """A mailbox whose pass code, 8305, was encrypted with a key that is lost."""
    mailbox = Mailbox(account=account, name="Lost")
    mailbox.password_sealed = LOST_KEYS.encrypt("8305", mailbox.owner)
    Mailbox.objects.bulk_create([mailbox])
    return mailbox


@pytest.fixture
def mailboxes(lost, account):
    Mailbox.objects.create(account=account, name="Sales", password="4829")


def is_unchanged(mailbox):
    return Mailbox.objects.get(pk=mailbox.pk).password_sealed == mailbox.password_sealed


@pytest.mark.usefixtures("mailboxes")
@pytest.mark.parametrize("query", ["", "?limit=10", "?search=s&order=name"])
def test_list_has_null_for_a_lost_pass_code_and_serves_all_others(service, query):
    answer = service.get(LIST + query)
    pass_codes = {mailbox["name"]: mailbox["password"] for mailbox in answer.result}
    assert (answer.status, pass_codes) == (200, {"Lost": None, "Sales": "4829"})


def test_mailbox_is_served_with_null_as_its_pass_code(service, lost):
    answer = service.get(f"{LIST}/{lost.pk}")
    assert (answer.status, answer.result["name"], answer.result["password"]) == (200, "Lost", None)


def test_log_names_mailbox_and_key_and_reveals_nothing(service, lost, caplog):
    service.get(LIST)
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    message = record.getMessage()
    assert f"{lost.pk} (key {LOST_KEYS.current})" in message
    assert not shows(message, "8305")
    assert lost.password_sealed.partition(":")[2] not in message


def test_many_mailboxes_are_logged_in_one_line_with_ten_names(service, account, caplog):
    Mailbox.objects.bulk_create(
        Mailbox(account=account, name="Broken", password_sealed="8305") for _ in range(12)
    )
    assert service.get(LIST).status == 200
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.getMessage().startswith("12 pass codes cannot be decrypted")
    assert record.getMessage().count("(key ?)") == 10
    assert not shows(record.getMessage(), "8305")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_new_pass_code_replaces_the_lost_one(service, lost, method):
    path = f"{LIST}/{lost.pk}"
    answer = service.call(method, path, {"name": "Found", "password": "4829"})
    assert (answer.status, answer.result["password"]) == (200, "4829")
    assert service.get(path).result["password"] == "4829"


def test_null_sent_back_keeps_the_encrypted_pass_code(service, lost):
    path = f"{LIST}/{lost.pk}"
    result = service.get(path).result
    for method, body in [("PUT", result), ("PUT", {"name": "Lost"}), ("PATCH", {"password": None})]:
        answer = service.call(method, path, body)
        assert (answer.status, answer.errors["password"][0]["code"]) == (400, "lost")
    assert is_unchanged(lost)


def test_null_that_was_read_does_not_remove_the_pass_code_whose_key_is_found(
    service, lost, settings
):
    path = f"{LIST}/{lost.pk}"
    known = service.get(path).headers["etag"]
    assert service.get(path, headers={"If-None-Match": known}).status == 304
    settings.PASS_CODE_KEYS = LOST_KEYS
    assert service.get(path, headers={"If-None-Match": known}).result["password"] == "8305"
    body = {"name": "Lost", "password": None}
    assert service.put(path, body, headers={"If-Match": known}).status == 412
    assert is_unchanged(lost)


def test_mailbox_with_a_lost_pass_code_can_be_changed_with_its_etag(service, lost):
    path = f"{LIST}/{lost.pk}"
    for _ in range(2):
        headers = {"If-Match": service.get(path).headers["etag"]}
        answer = service.patch(path, {"beep": False}, headers=headers)
        assert (answer.status, answer.headers["etag"]) == (200, service.get(path).headers["etag"])


def test_other_fields_of_the_mailbox_can_be_changed(service, lost):
    path = f"{LIST}/{lost.pk}"
    assert service.patch(path, {"transcribe": True}).result["transcribe"] is True
    assert service.post(f"{path}/email-recipient", {"email": "a@b.example"}).status == 201
    assert service.delete(path).status == 204
    assert service.post(f"{path}/restore").status == 200
    assert service.get(f"{path}/history").status == 200
    assert is_unchanged(lost)


def test_repeated_call_whose_first_answer_is_lost_is_refused(service, settings):
    body, headers = {"name": "Sales"}, {"Idempotency-Key": "k"}
    service.post(LIST, body, headers=headers)
    settings.PASS_CODE_KEYS = LOST_KEYS
    answer = service.post(LIST, body, headers=headers)
    assert answer.status == 409
    assert answer.errors["non_field_errors"][0]["code"] == "answer_lost"
    assert Mailbox.objects.count() == 1


def test_damaged_pass_code_affects_no_other_mailbox(service, account):
    Mailbox.objects.bulk_create(
        Mailbox(account=account, name=name, password_sealed=encrypted)
        for name, encrypted in (("Damaged", '\x1e\x1f"\\,{}'), ("Sales", None))
    )
    answer = service.get(LIST)
    assert {box["name"]: box["password"] for box in answer.result} == {
        "Damaged": None,
        "Sales": None,
    }
