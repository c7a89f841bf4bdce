from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from django.db import connection

from mailboxes.models import Mailbox

LONG_AGO = datetime(2023, 6, 2, tzinfo=UTC)
SET = {
    "name": "Sales",
    "password": "1234",
    "greeting": "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b",
    "beep": False,
    "play_caller_id": True,
    "play_timestamp": True,
    "transcribe": True,
}


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, created_at=LONG_AGO, **SET)


@pytest.fixture
def path(mailbox):
    return f"/voip/mailbox/{mailbox.uuid}"


def today():
    return datetime.now(UTC).date().isoformat()


def test_put_takes_the_whole_object(service, path):
    answer = service.put(path, SET | {"name": "Support", "password": "9876"})
    assert answer.status == 200
    assert (answer.result["name"], answer.result["password"]) == ("Support", "9876")
    assert service.get(path).json == answer.json


def test_put_sets_what_is_left_out_back_to_its_default(service, path):
    result = service.put(path, {"name": "Sales"}).result
    assert {field: result[field] for field in SET} == {
        "name": "Sales",
        "password": None,
        "greeting": None,
        "beep": True,
        "play_caller_id": False,
        "play_timestamp": False,
        "transcribe": False,
    }


@pytest.mark.parametrize("field", [field for field in SET if field != "name"])
def test_patch_changes_only_what_is_sent(service, path, field):
    value = None if field in ("password", "greeting") else not SET[field]
    result = service.patch(path, {field: value}).result
    assert {name: result[name] for name in SET} == SET | {field: value}


def test_patch_with_an_empty_object_changes_no_field(service, path):
    result = service.patch(path, {}).result
    assert {name: result[name] for name in SET} == SET


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_good_one_sets_updated_on_to_today(service, path, method):
    assert service.get(path).result["updated_on"] == "2023-06-02"
    result = service.call(method, path, SET).result
    assert (result["created_on"], result["updated_on"]) == ("2023-06-02", today())


def test_what_a_client_was_given_it_may_send_back(service, path):
    assert service.put(path, service.get(path).result).status == 200


def test_the_history_keeps_both_states_and_says_who(service, path, mailbox):
    service.patch(path, {"password": "9876"})
    after, before = mailbox.history.all()
    assert (before.password, after.password) == ("1234", "9876")
    assert after.history_credential.name == "api"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    "body",
    [
        SET | {"name": ""},
        SET | {"password": "12345"},
        SET | {"greeting": "x"},
        SET | {"beep": "x"},
        SET | {"transcribe": None},
        {"name": None},
    ],
)
def test_a_failed_one_changes_nothing(service, path, mailbox, method, body):
    before = service.get(path).json
    assert service.call(method, path, body).status == 400
    assert service.get(path).json == before
    assert mailbox.history.count() == 1


def test_put_wants_a_name(service, path):
    assert service.put(path, {"beep": True}).errors["name"][0]["code"] == "required"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("body", [b"", "[]", '"text"', "null", "1", "{", '{"name": "x"'])
def test_a_body_that_is_no_json_object_is_refused(service, path, method, body):
    before = service.get(path).json
    answer = service.call(method, path, body)
    assert (answer.status, list(answer.errors)) == (400, ["non_field_errors"])
    assert service.get(path).json == before


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_deleted_mailbox_is_not_found(service, path, mailbox, method):
    mailbox.soft_delete()
    assert service.call(method, path, SET).status == 404


@contextmanager
def quicker(change):
    """Somebody else makes the change between the call's reading and its writing."""
    left = [change]

    def execute(execute, sql, params, many, context):
        if left and "UPDATE" in sql and '"mailboxes_mailbox"' in sql:
            left.pop()()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield
    assert not left


class TestSomebodyElseIsQuicker:
    def test_both_changes_are_kept(self, service, path, mailbox):
        with quicker(lambda: Mailbox.objects.get().change({"beep": True})):
            answer = service.patch(path, {"name": "Support"})
        assert answer.status == 200
        assert (answer.result["name"], answer.result["beep"]) == ("Support", True)
        assert answer.body == service.get(path).body
        assert (answer.headers["etag"], mailbox.history.count()) == ('"3"', 3)

    def test_the_answer_has_their_recipient(self, service, path, mailbox):
        with quicker(lambda: Mailbox.objects.get().add_recipient("pete@acme.example")):
            answer = service.put(path, SET)
        assert len(answer.result["email_recipients"]) == 1
        assert answer.body == service.get(path).body

    def test_a_tag_of_before_is_refused(self, service, path):
        with quicker(lambda: Mailbox.objects.get().change({"beep": True})):
            answer = service.put(path, SET, headers={"If-Match": '"1"'})
        assert answer.status == 412
        assert Mailbox.objects.get().version == 2

    def test_what_they_deleted_is_not_found(self, service, path):
        with quicker(lambda: Mailbox.objects.get().soft_delete()):
            assert service.put(path, SET).status == 404
        assert Mailbox.objects.get().is_deleted


def test_few_statements(service, path, django_assert_num_queries):
    """One reads the credential and the mailbox to change; one writes, or two on SQLite."""
    service.get(path)  # the credential's use is written down
    to_write = 1 if connection.vendor == "postgresql" else 2
    with django_assert_num_queries(1 + to_write):
        assert service.post("/voip/mailbox", SET).status == 201
    for method in ("PUT", "PATCH"):
        with django_assert_num_queries(1 + to_write):
            assert service.call(method, path, SET).status == 200
