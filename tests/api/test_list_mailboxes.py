"""GET /voip/mailbox without parameters: all mailboxes of the account."""

import gc
import weakref
from datetime import UTC, datetime, timedelta

import pytest
from django.test import RequestFactory

from mailboxes.http.machine_paths import call_view
from mailboxes.models import EmailRecipient, Mailbox

pytestmark = pytest.mark.django_db

KEYS = [
    "beep",
    "created_on",
    "email_recipients",
    "greeting",
    "name",
    "password",
    "play_caller_id",
    "play_timestamp",
    "transcribe",
    "updated_on",
    "uuid",
]


def test_empty_account_has_an_empty_list(wire):
    answer = wire.get("/voip/mailbox")
    assert (answer.status, answer.result) == (200, [])


def test_mailboxes_are_in_order_of_creation(wire):
    for name in ("Third", "First", "Second"):
        wire.post("/voip/mailbox", {"name": name})
    assert [box["name"] for box in wire.get("/voip/mailbox").result] == ["Third", "First", "Second"]


def test_mailbox_has_the_contracts_keys_in_order(wire):
    wire.post("/voip/mailbox", {"name": "Sales"})
    assert list(wire.get("/voip/mailbox").result[0]) == KEYS


def test_recipients_are_in_order_of_creation_with_three_keys(service, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    recipients = [mailbox.add_recipient(f"{name}@acme.example") for name in ("z", "a", "m")]
    result = service.get("/voip/mailbox").result[0]["email_recipients"]
    assert [recipient["uuid"] for recipient in result] == [str(row.uuid) for row in recipients]
    assert list(result[0]) == ["created_on", "updated_on", "uuid"]


def test_deleted_mailboxes_are_not_listed(service, account):
    Mailbox.objects.create(account=account, name="Gone").soft_delete()
    assert service.get("/voip/mailbox").result == []


def test_new_mailbox_has_updated_on_equal_to_created_on(service, account):
    day = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
    Mailbox.objects.create(account=account, name="Sales", created_at=day)
    result = service.get("/voip/mailbox").result[0]
    assert (result["created_on"], result["updated_on"]) == ("2024-02-29", "2024-02-29")


@pytest.mark.parametrize("path", ["/voip/mailbox", "/voip/mailbox/"])
def test_trailing_slash_is_accepted(wire, path):
    assert wire.get(path).status == 200


@pytest.mark.parametrize("query", ["format=xml", "mailbox=101", "page=2", "%00", "sort="])
def test_unknown_parameters_are_ignored(service, query):
    assert service.get(f"/voip/mailbox?{query}").status == 200


def test_request_body_is_ignored(wire):
    answer = wire.call("GET", "/voip/mailbox", "not { json", {"Content-Type": "text/plain"})
    assert answer.status == 200
    assert wire.get("/voip/mailbox").status == 200


def test_head_request_gets_no_body(wire):
    answer = wire.call("HEAD", "/voip/mailbox")
    assert (answer.status, answer.body) == (200, b"")


def test_number_of_queries_does_not_depend_on_the_number_of_mailboxes(
    service, account, django_assert_num_queries
):
    service.get("/authenticated")  # records the last use, once a minute
    start = datetime(2024, 1, 1, tzinfo=UTC)
    for rows in (1, 40):
        boxes = Mailbox.objects.bulk_create(
            Mailbox(account=account, name="Box", created_at=start + timedelta(seconds=row))
            for row in range(rows)
        )
        EmailRecipient.objects.bulk_create(
            EmailRecipient(mailbox=box, email=f"{number}@acme.example")
            for box in boxes
            for number in range(3)
        )
        with django_assert_num_queries(1):  # credential, mailboxes and recipients in one
            service.get("/voip/mailbox")


def test_answer_is_freed_without_garbage_collection(service):
    """Long answers would fill the memory until the next garbage collection."""
    gc.disable()
    try:
        request = RequestFactory().get("/voip/mailbox?order=created", headers=service.headers)
        response = call_view(request)
        assert response.status_code == 200
        reference = weakref.ref(response)
        del response
        assert reference() is None
    finally:
        gc.enable()
