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


def test_an_empty_account_has_an_empty_list(wire):
    answer = wire.get("/voip/mailbox")
    assert (answer.status, answer.result) == (200, [])


def test_mailboxes_stand_in_order_of_creation(wire):
    for name in ("Third", "First", "Second"):
        wire.post("/voip/mailbox", {"name": name})
    assert [box["name"] for box in wire.get("/voip/mailbox").result] == ["Third", "First", "Second"]


def test_each_has_exactly_the_contracts_keys_in_their_order(wire):
    wire.post("/voip/mailbox", {"name": "Sales"})
    assert list(wire.get("/voip/mailbox").result[0]) == KEYS


def test_recipients_stand_in_order_of_creation_with_exactly_three_keys(service, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    recipients = [mailbox.add_recipient(f"{name}@acme.example") for name in ("z", "a", "m")]
    shown = service.get("/voip/mailbox").result[0]["email_recipients"]
    assert [recipient["uuid"] for recipient in shown] == [str(row.uuid) for row in recipients]
    assert list(shown[0]) == ["created_on", "updated_on", "uuid"]


def test_deleted_mailboxes_are_not_listed(service, account):
    Mailbox.objects.create(account=account, name="Gone").soft_delete()
    assert service.get("/voip/mailbox").result == []


def test_never_updated_means_updated_when_created(service, account):
    day = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
    Mailbox.objects.create(account=account, name="Sales", created_at=day)
    shown = service.get("/voip/mailbox").result[0]
    assert (shown["created_on"], shown["updated_on"]) == ("2024-02-29", "2024-02-29")


@pytest.mark.parametrize("path", ["/voip/mailbox", "/voip/mailbox/"])
def test_with_or_without_a_trailing_slash(wire, path):
    assert wire.get(path).status == 200


@pytest.mark.parametrize("query", ["format=xml", "mailbox=101", "page=2", "%00", "sort="])
def test_stray_parameters_of_todays_clients_are_ignored(service, query):
    assert service.get(f"/voip/mailbox?{query}").status == 200


def test_a_body_is_ignored(wire):
    answer = wire.call("GET", "/voip/mailbox", "not { json", {"Content-Type": "text/plain"})
    assert answer.status == 200
    assert wire.get("/voip/mailbox").status == 200


def test_head_has_no_body(wire):
    answer = wire.call("HEAD", "/voip/mailbox")
    assert (answer.status, answer.body) == (200, b"")


def test_queries_do_not_depend_on_the_length(service, account, django_assert_num_queries):
    service.get("/authenticated")  # writes the time of use, once a minute
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
        with django_assert_num_queries(
            1
        ):  # the mailboxes with their recipients, beside the credential
            service.get("/voip/mailbox")


def test_an_answer_is_let_go_of_at_once(service):
    """A long one would stay, and others come, until garbage is collected."""
    gc.disable()
    try:
        request = RequestFactory().get("/voip/mailbox?order=created", headers=service.headers)
        answered = call_view(request)
        assert answered.status_code == 200
        held = weakref.ref(answered)
        del answered
        assert held() is None
    finally:
        gc.enable()
