"""Idempotency-Key: a POST with a used key gets the first answer and changes nothing."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection

from mailboxes.models import Account, IdempotentAnswer, Mailbox
from tests.conftest import headers_for
from tests.service import InProcess, shows

LIST = "/voip/mailbox"
BODY = {"name": "Sales", "password": "4829"}


def key_header(key='"8e03978e-40d5-43e8-bc93-6894a57f9324"'):
    return {"Idempotency-Key": key}


def test_repeated_call_gets_the_first_answer_with_a_replay_header(wire):
    first = wire.post(LIST, BODY, headers=key_header())
    second = wire.post(LIST, BODY, headers=key_header())
    assert (first.status, second.status) == (201, 201)
    assert second.body == first.body
    assert second.headers["etag"] == first.headers["etag"]
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(wire.get(LIST).result) == 1


def test_calls_without_a_key_are_all_executed(service):
    service.post(LIST, BODY)
    service.post(LIST, BODY)
    assert Mailbox.objects.count() == 2


def test_first_answer_is_repeated_after_changes(service):
    uuid = service.post(LIST, BODY, headers=key_header()).result["uuid"]
    service.patch(f"{LIST}/{uuid}", {"name": "Changed"})
    service.delete(f"{LIST}/{uuid}")
    assert service.post(LIST, BODY, headers=key_header()).result["name"] == "Sales"
    assert not Mailbox.objects.active().exists()


def test_same_key_with_another_body_is_refused(service):
    service.post(LIST, BODY, headers=key_header())
    answer = service.post(LIST, {"name": "Support"}, headers=key_header())
    assert (answer.status, answer.errors["non_field_errors"][0]["code"]) == (422, "key_reused")
    assert answer.json["status_message"] == "Unprocessable Content"
    assert Mailbox.objects.count() == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('{"name": "x", "beep": true}', ' { "beep" : true, "name": "\\u0078" }\n'),
        ('{"name": "x", "more": {"a": 1, "b": [2]}}', '{"more": {"b": [2], "a": 1}, "name": "x"}'),
    ],
)
def test_same_key_with_the_same_json_in_other_words_gets_the_first_answer(service, first, second):
    answers = [service.post(LIST, body, headers=key_header()) for body in (first, second)]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[1].body == answers[0].body
    assert Mailbox.objects.count() == 1


@pytest.mark.parametrize("deep", ["[" * 300 + "]" * 300, "[" * 1000 + "]" * 1000])
def test_key_works_with_a_deeply_nested_body(service, deep):
    for _call in range(2):
        body = f'{{"name": "x", "more": {deep}}}'
        assert service.post(LIST, body, headers=key_header()).status == 201
    assert Mailbox.objects.count() == 1


def test_same_key_with_another_path_is_refused(service):
    uuid = service.post(LIST, BODY, headers=key_header()).result["uuid"]
    answer = service.post(f"{LIST}/{uuid}/email-recipient", BODY, headers=key_header())
    assert answer.status == 422


def test_repeated_call_adds_a_recipient_once(service, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    path = f"{LIST}/{mailbox.pk}/email-recipient"
    first = service.post(path, {"email": "pete@acme.example"}, headers=key_header())
    second = service.post(path + "/", {"email": "pete@acme.example"}, headers=key_header())
    assert (second.status, second.body) == (201, first.body)
    assert mailbox.email_recipients.count() == 1


def test_repeated_call_restores_a_mailbox_once(service, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    mailbox.soft_delete()
    path = f"{LIST}/{mailbox.pk}"
    assert service.post(f"{path}/restore", headers=key_header()).status == 200
    service.delete(path)
    assert service.post(f"{path}/restore", headers=key_header()).status == 200
    assert service.get(path).status == 404


def test_corrected_call_can_use_the_key_of_a_refused_one(service):
    assert service.post(LIST, {"name": ""}, headers=key_header()).status == 400
    assert service.post(LIST, BODY, headers=key_header()).status == 201


def test_change_is_rolled_back_if_its_answer_cannot_be_stored(service, monkeypatch):
    def fail(*args):
        raise RuntimeError("out of order")

    with monkeypatch.context() as patch:
        patch.setattr("mailboxes.models.idempotency.IdempotentAnswerQuerySet.store", fail)
        assert service.post(LIST, BODY, headers=key_header()).status == 500
    assert not Mailbox.objects.exists()
    assert service.post(LIST, BODY, headers=key_header()).status == 201


def test_accounts_have_separate_keys(service, stranger):
    service.post(LIST, BODY, headers=key_header())
    other = InProcess(headers_for(stranger)).post(LIST, {"name": "Theirs"}, headers=key_header())
    assert (other.status, other.result["name"]) == (201, "Theirs")


def test_reseller_and_customer_have_separate_keys(service, account):
    Account.objects.create(name="customer", reseller=account)
    service.post(LIST, BODY, headers=key_header())
    headers = key_header() | {"X-Auth-For": "customer"}
    assert "idempotency-replayed" not in service.post(LIST, BODY, headers=headers).headers


def test_key_can_be_used_again_after_a_day(service):
    service.post(LIST, BODY, headers=key_header())
    stored = IdempotentAnswer.objects.get()
    stored.created_at -= timedelta(days=1)
    stored.save()
    assert service.post(LIST, {"name": "Support"}, headers=key_header()).status == 201


def test_purge_command_removes_expired_keys(service, capsys):
    for key in ("old", "new"):
        service.post(LIST, BODY, headers=key_header(key))
    old = IdempotentAnswer.objects.get(key="old")
    old.created_at -= timedelta(days=1)
    old.save()
    call_command("purge_idempotency_keys")
    assert capsys.readouterr().out == "Removed 1 keys.\n"
    assert IdempotentAnswer.objects.get().key == "new"


def test_stored_answer_is_encrypted(service):
    service.post(LIST, BODY, headers=key_header())
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM mailboxes_idempotentanswer")
        text = repr(cursor.fetchall())
    assert not shows(text, "4829")
    assert "Sales" not in text


@pytest.mark.parametrize("key", ["plain", '"quoted"', "x" * 255, f'"{"x" * 255}"', "a~!@#$%^&*()"])
def test_valid_keys_are_accepted(service, key):
    assert service.post(LIST, BODY, headers=key_header(key)).status == 201


@pytest.mark.parametrize("key", ["", '""', "a b", "x" * 256, '"open', "é", 'a"b', "a\\b"])
def test_wrong_key_is_refused_and_nothing_is_created(service, key):
    answer = service.post(LIST, BODY, headers=key_header(key))
    assert (answer.status, list(answer.errors)) == (400, ["Idempotency-Key"])
    assert not Mailbox.objects.exists()


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_methods_ignore_the_key(service, account, method):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    answer = service.call(method, f"{LIST}/{mailbox.pk}", BODY, key_header("é"))
    assert answer.status in (200, 204)
    assert not IdempotentAnswer.objects.exists()
