"""A pass code that no key at hand opens: shown as none, replaced by a new one, and never a crash."""

import secrets

import pytest

from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.models import Mailbox
from tests.service import shows

LIST = "/voip/mailbox"
LOST = KeyRing([secrets.token_bytes(KEY_BYTES)])


@pytest.fixture
def lost(account):
    """A mailbox whose pass code, 8305, was sealed with a key that is gone."""
    mailbox = Mailbox(account=account, name="Lost")
    mailbox.password_sealed = LOST.encrypt("8305", mailbox.owner)
    Mailbox.objects.bulk_create([mailbox])
    return mailbox


@pytest.fixture
def mailboxes(lost, account):
    Mailbox.objects.create(account=account, name="Sales", password="4829")


def kept(mailbox):
    return Mailbox.objects.get(pk=mailbox.pk).password_sealed == mailbox.password_sealed


@pytest.mark.usefixtures("mailboxes")
@pytest.mark.parametrize("query", ["", "?limit=10", "?search=s&order=name"])
def test_the_list_has_all_others(service, query):
    answer = service.get(LIST + query)
    shown = {mailbox["name"]: mailbox["password"] for mailbox in answer.result}
    assert (answer.status, shown) == (200, {"Lost": None, "Sales": "4829"})


def test_alone_it_is_served_too(service, lost):
    answer = service.get(f"{LIST}/{lost.pk}")
    assert (answer.status, answer.result["name"], answer.result["password"]) == (200, "Lost", None)


def test_the_log_names_mailbox_and_key_and_tells_nothing(service, lost, caplog):
    service.get(LIST)
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    said = record.getMessage()
    assert f"{lost.pk} (key {LOST.current})" in said
    assert not shows(said, "8305")
    assert lost.password_sealed.partition(":")[2] not in said


def test_of_many_it_names_some_in_one_line(service, account, caplog):
    Mailbox.objects.bulk_create(
        Mailbox(account=account, name="Broken", password_sealed="8305") for _ in range(12)
    )
    assert service.get(LIST).status == 200
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert "opens: 12," in record.getMessage()
    assert record.getMessage().count("(key ?)") == 10
    assert not shows(record.getMessage(), "8305")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_new_one_takes_its_place(service, lost, method):
    path = f"{LIST}/{lost.pk}"
    answer = service.call(method, path, {"name": "Found", "password": "4829"})
    assert (answer.status, answer.result["password"]) == (200, "4829")
    assert service.get(path).result["password"] == "4829"


def test_what_was_shown_and_is_sent_back_does_not_remove_it(service, lost):
    path = f"{LIST}/{lost.pk}"
    read = service.get(path).result
    for method, body in [("PUT", read), ("PUT", {"name": "Lost"}), ("PATCH", {"password": None})]:
        answer = service.call(method, path, body)
        assert (answer.status, answer.errors["password"][0]["code"]) == (400, "lost")
    assert kept(lost)


def test_all_else_can_be_changed(service, lost):
    path = f"{LIST}/{lost.pk}"
    assert service.patch(path, {"transcribe": True}).result["transcribe"] is True
    assert service.post(f"{path}/email-recipient", {"email": "a@b.example"}).status == 201
    assert service.delete(path).status == 204
    assert service.post(f"{path}/restore").status == 200
    assert service.get(f"{path}/history").status == 200
    assert kept(lost)


def test_a_first_answer_that_no_key_opens_is_not_given_again_and_nothing_done_twice(
    service, settings
):
    body, headers = {"name": "Sales"}, {"Idempotency-Key": "k"}
    service.post(LIST, body, headers=headers)
    settings.PASS_CODE_KEYS = LOST
    answer = service.post(LIST, body, headers=headers)
    assert answer.status == 409
    assert answer.errors["non_field_errors"][0]["code"] == "answer_lost"
    assert Mailbox.objects.count() == 1


def test_a_damaged_one_hides_no_other(service, account):
    Mailbox.objects.bulk_create(
        Mailbox(account=account, name=name, password_sealed=sealed)
        for name, sealed in (("Damaged", '\x1e\x1f"\\,{}'), ("Sales", None))
    )
    answer = service.get(LIST)
    assert {box["name"]: box["password"] for box in answer.result} == {
        "Damaged": None,
        "Sales": None,
    }
