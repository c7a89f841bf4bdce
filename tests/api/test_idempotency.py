"""`Idempotency-Key`: a POST sent again with its key is not done again, and gets the first answer."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection

from mailboxes.models import Account, IdempotentAnswer, Mailbox
from tests.conftest import headers_for
from tests.service import InProcess, shows

LIST = "/voip/mailbox"
BODY = {"name": "Sales", "password": "4829"}


def with_key(key='"8e03978e-40d5-43e8-bc93-6894a57f9324"'):
    return {"Idempotency-Key": key}


def test_the_same_call_again_gets_the_first_answer_marked(wire):
    first = wire.post(LIST, BODY, headers=with_key())
    again = wire.post(LIST, BODY, headers=with_key())
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(wire.get(LIST).result) == 1


def test_without_a_key_each_call_is_done(service):
    service.post(LIST, BODY)
    service.post(LIST, BODY)
    assert Mailbox.objects.count() == 2


def test_the_first_answer_stays_the_first(service):
    uuid = service.post(LIST, BODY, headers=with_key()).result["uuid"]
    service.patch(f"{LIST}/{uuid}", {"name": "Changed"})
    service.delete(f"{LIST}/{uuid}")
    assert service.post(LIST, BODY, headers=with_key()).result["name"] == "Sales"
    assert not Mailbox.objects.active().exists()


def test_another_body_with_the_same_key_is_refused(service):
    service.post(LIST, BODY, headers=with_key())
    answer = service.post(LIST, {"name": "Support"}, headers=with_key())
    assert (answer.status, answer.errors["non_field_errors"][0]["code"]) == (422, "key_reused")
    assert answer.json["status_message"] == "Unprocessable Content"
    assert Mailbox.objects.count() == 1


def test_another_path_with_the_same_key_is_refused(service):
    uuid = service.post(LIST, BODY, headers=with_key()).result["uuid"]
    answer = service.post(f"{LIST}/{uuid}/email-recipient", BODY, headers=with_key())
    assert answer.status == 422


def test_recipients_are_added_once(service, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    path = f"{LIST}/{mailbox.pk}/email-recipient"
    first = service.post(path, {"email": "pete@acme.example"}, headers=with_key())
    again = service.post(path + "/", {"email": "pete@acme.example"}, headers=with_key())
    assert (again.status, again.body) == (201, first.body)
    assert mailbox.email_recipients.count() == 1


def test_a_restore_is_done_once(service, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    mailbox.soft_delete()
    path = f"{LIST}/{mailbox.pk}"
    assert service.post(f"{path}/restore", headers=with_key()).status == 200
    service.delete(path)
    assert service.post(f"{path}/restore", headers=with_key()).status == 200
    assert service.get(path).status == 404


def test_a_refused_call_can_be_mended_and_sent_with_the_same_key(service):
    assert service.post(LIST, {"name": ""}, headers=with_key()).status == 400
    assert service.post(LIST, BODY, headers=with_key()).status == 201


def test_the_record_and_the_work_are_one_transaction(service, monkeypatch):
    def lose(*args):
        raise RuntimeError("the record is lost")

    with monkeypatch.context() as broken:
        broken.setattr("mailboxes.models.idempotency.IdempotentAnswerQuerySet.keep", lose)
        assert service.post(LIST, BODY, headers=with_key()).status == 500
    assert not Mailbox.objects.exists()
    assert service.post(LIST, BODY, headers=with_key()).status == 201


def test_keys_are_kept_per_account(service, stranger):
    service.post(LIST, BODY, headers=with_key())
    other = InProcess(headers_for(stranger)).post(LIST, {"name": "Theirs"}, headers=with_key())
    assert (other.status, other.result["name"]) == (201, "Theirs")


def test_a_customers_keys_are_not_its_resellers(service, account):
    Account.objects.create(name="customer", reseller=account)
    service.post(LIST, BODY, headers=with_key())
    headers = with_key() | {"X-Auth-For": "customer"}
    assert "idempotency-replayed" not in service.post(LIST, BODY, headers=headers).headers


def test_after_a_day_the_key_is_free_again(service):
    service.post(LIST, BODY, headers=with_key())
    kept = IdempotentAnswer.objects.get()
    kept.created_at -= timedelta(days=1)
    kept.save()
    assert service.post(LIST, {"name": "Support"}, headers=with_key()).status == 201


def test_old_keys_are_purged(service, capsys):
    for key in ("old", "new"):
        service.post(LIST, BODY, headers=with_key(key))
    old = IdempotentAnswer.objects.get(key="old")
    old.created_at -= timedelta(days=1)
    old.save()
    call_command("purge_idempotency_keys")
    assert capsys.readouterr().out == "Removed 1 keys.\n"
    assert IdempotentAnswer.objects.get().key == "new"


def test_the_kept_answer_is_sealed(service):
    service.post(LIST, BODY, headers=with_key())
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM mailboxes_idempotentanswer")
        kept = repr(cursor.fetchall())
    assert not shows(kept, "4829")
    assert "Sales" not in kept


@pytest.mark.parametrize("key", ["plain", '"quoted"', "x" * 255, f'"{"x" * 255}"', "a~!@#$%^&*()"])
def test_keys_that_are_taken(service, key):
    assert service.post(LIST, BODY, headers=with_key(key)).status == 201


@pytest.mark.parametrize("key", ["", '""', "a b", "x" * 256, '"open', "é", 'a"b', "a\\b"])
def test_a_wrong_key_is_refused_and_nothing_is_made(service, key):
    answer = service.post(LIST, BODY, headers=with_key(key))
    assert (answer.status, list(answer.errors)) == (400, ["Idempotency-Key"])
    assert not Mailbox.objects.exists()


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_methods_take_no_notice(service, account, method):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    answer = service.call(method, f"{LIST}/{mailbox.pk}", BODY, with_key("é"))
    assert answer.status in (200, 204)
    assert not IdempotentAnswer.objects.exists()
