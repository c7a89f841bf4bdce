"""PUT and PATCH /voip/mailbox/{uuid}, also during a concurrent change."""

from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from django.db import connection

from mailboxes.models import Mailbox

LONG_AGO = datetime(2023, 6, 2, tzinfo=UTC)
FIELDS = {
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
    return Mailbox.objects.create(account=account, created_at=LONG_AGO, **FIELDS)


@pytest.fixture
def path(mailbox):
    return f"/voip/mailbox/{mailbox.uuid}"


def get_today():
    return datetime.now(UTC).date().isoformat()


def test_put_replaces_all_fields(service, path):
    answer = service.put(path, FIELDS | {"name": "Support", "password": "9876"})
    assert answer.status == 200
    assert (answer.result["name"], answer.result["password"]) == ("Support", "9876")
    assert service.get(path).json == answer.json


def test_put_resets_missing_fields_to_their_defaults(service, path):
    result = service.put(path, {"name": "Sales"}).result
    assert {field: result[field] for field in FIELDS} == {
        "name": "Sales",
        "password": None,
        "greeting": None,
        "beep": True,
        "play_caller_id": False,
        "play_timestamp": False,
        "transcribe": False,
    }


@pytest.mark.parametrize("field", [field for field in FIELDS if field != "name"])
def test_patch_changes_only_what_is_sent(service, path, field):
    value = None if field in ("password", "greeting") else not FIELDS[field]
    result = service.patch(path, {field: value}).result
    assert {name: result[name] for name in FIELDS} == FIELDS | {field: value}


def test_empty_patch_changes_no_field(service, path):
    result = service.patch(path, {}).result
    assert {name: result[name] for name in FIELDS} == FIELDS


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_change_sets_updated_on_to_today(service, path, method):
    assert service.get(path).result["updated_on"] == "2023-06-02"
    result = service.call(method, path, FIELDS).result
    assert (result["created_on"], result["updated_on"]) == ("2023-06-02", get_today())


def test_served_object_can_be_sent_back(service, path):
    assert service.put(path, service.get(path).result).status == 200


def test_history_has_both_states_and_names_the_credential(service, path, mailbox):
    service.patch(path, {"password": "9876"})
    after, before = mailbox.history.all()
    assert (before.password, after.password) == ("1234", "9876")
    assert after.history_credential.name == "api"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    "body",
    [
        FIELDS | {"name": ""},
        FIELDS | {"password": "12345"},
        FIELDS | {"greeting": "x"},
        FIELDS | {"beep": "x"},
        FIELDS | {"transcribe": None},
        {"name": None},
    ],
)
def test_refused_change_changes_nothing(service, path, mailbox, method, body):
    before = service.get(path).json
    assert service.call(method, path, body).status == 400
    assert service.get(path).json == before
    assert mailbox.history.count() == 1


def test_put_without_a_name_is_refused(service, path):
    assert service.put(path, {"beep": True}).errors["name"][0]["code"] == "required"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("body", [b"", "[]", '"text"', "null", "1", "{", '{"name": "x"'])
def test_body_that_is_no_json_object_is_refused(service, path, method, body):
    before = service.get(path).json
    answer = service.call(method, path, body)
    assert (answer.status, list(answer.errors)) == (400, ["non_field_errors"])
    assert service.get(path).json == before


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_deleted_mailbox_is_not_found(service, path, mailbox, method):
    mailbox.soft_delete()
    assert service.call(method, path, FIELDS).status == 404


@contextmanager
def change_before_write(change):
    """Make the change after the call has read the row, and before it writes."""
    pending = [change]

    def execute(execute, sql, params, many, context):
        if pending and "UPDATE" in sql and '"mailboxes_mailbox"' in sql:
            pending.pop()()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield
    assert not pending


class TestConcurrentChange:
    def test_update_keeps_a_concurrent_change_of_another_field(self, service, path, mailbox):
        with change_before_write(lambda: Mailbox.objects.get().change({"beep": True})):
            answer = service.patch(path, {"name": "Support"})
        assert answer.status == 200
        assert (answer.result["name"], answer.result["beep"]) == ("Support", True)
        assert answer.body == service.get(path).body
        assert (answer.headers["etag"], mailbox.history.count()) == ('"3"', 3)

    def test_answer_has_a_recipient_added_meanwhile(self, service, path, mailbox):
        with change_before_write(lambda: Mailbox.objects.get().add_recipient("pete@acme.example")):
            answer = service.put(path, FIELDS)
        assert len(answer.result["email_recipients"]) == 1
        assert answer.body == service.get(path).body

    def test_update_with_an_outdated_etag_is_refused(self, service, path):
        with change_before_write(lambda: Mailbox.objects.get().change({"beep": True})):
            answer = service.put(path, FIELDS, headers={"If-Match": '"1"'})
        assert answer.status == 412
        assert Mailbox.objects.get().version == 2

    def test_mailbox_deleted_meanwhile_is_not_found(self, service, path):
        with change_before_write(lambda: Mailbox.objects.get().soft_delete()):
            assert service.put(path, FIELDS).status == 404
        assert Mailbox.objects.get().is_deleted


def test_write_takes_two_queries_or_three_on_sqlite(service, path, django_assert_num_queries):
    """One reads the credential and the mailbox to change; one writes, or two on SQLite."""
    service.post("/voip/mailbox", FIELDS)  # records the last use, and counts the mailboxes
    writes = 1 if connection.vendor == "postgresql" else 2
    with django_assert_num_queries(1 + writes):
        assert service.post("/voip/mailbox", FIELDS).status == 201
    for method in ("PUT", "PATCH"):
        with django_assert_num_queries(1 + writes):
            assert service.call(method, path, FIELDS).status == 200
