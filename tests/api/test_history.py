"""What happened to a mailbox: who, when, before and after; pass codes masked."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mailboxes.models import Account, Mailbox
from tests.conftest import headers_for
from tests.service import InProcess, shows


@pytest.fixture
def path(service):
    made = service.post("/voip/mailbox", {"name": "Sales", "password": "4829"}).result
    return f"/voip/mailbox/{made['uuid']}"


def history(service, path):
    return service.get(f"{path}/history").result


def told(service, path):
    """Each change in short, the oldest first."""
    changes = reversed(history(service, path))
    return [(change["action"], change["before"], change["after"]) for change in changes]


def test_it_begins_with_all_that_was_made(service, path):
    (change,) = history(service, path)
    assert list(change) == ["action", "after", "at", "before", "by"]
    assert (change["action"], change["before"]) == ("created", {})
    assert change["after"]["name"] == "Sales"
    assert change["by"] == {"account": "acme", "credential": "api", "kind": "credential"}


def test_a_change_tells_only_what_differs(service, path):
    service.patch(path, {"beep": False, "name": "Sales"})
    assert told(service, path)[1:] == [("changed", {"beep": True}, {"beep": False})]


def test_a_pass_code_is_masked_before_and_after(service, path):
    service.patch(path, {"password": "7302"})
    service.patch(path, {"password": None})
    assert told(service, path)[1:] == [
        ("changed", {"password": "••••"}, {"password": "••••"}),
        ("changed", {"password": "••••"}, {"password": None}),
    ]
    text = service.get(f"{path}/history").body
    assert not shows(text, "4829")
    assert not shows(text, "7302")


def test_the_same_again_is_no_change(service, path):
    service.put(path, {"name": "Sales", "password": "4829"})
    assert len(history(service, path)) == 1


def test_recipients_are_told_by_their_address(service, path):
    uuid = service.post(f"{path}/email-recipient", {"email": "pete@acme.example"}).result["uuid"]
    service.put(f"{path}/email-recipient/{uuid}", {"email": "mary@acme.example"})
    service.delete(f"{path}/email-recipient/{uuid}")
    assert told(service, path)[1:] == [
        ("recipient added", {}, {"email": "pete@acme.example"}),
        ("recipient changed", {"email": "pete@acme.example"}, {"email": "mary@acme.example"}),
        ("recipient removed", {"email": "mary@acme.example"}, {}),
    ]


def test_deletion_and_restoration_are_told(service, path):
    service.delete(path)
    service.post(f"{path}/restore")
    assert [action for action, _, _ in told(service, path)] == ["created", "deleted", "restored"]


def test_a_resellers_change_is_told_with_the_reseller(service, account):
    customer = Account.objects.create(name="customer", reseller=account)
    headers = {"X-Auth-For": "customer"}
    uuid = service.post("/voip/mailbox", {"name": "Sales"}, headers=headers).result["uuid"]
    (change,) = history(InProcess(headers_for(customer)), f"/voip/mailbox/{uuid}")
    assert change["by"]["account"] == "acme"


def test_a_change_by_staff_names_no_person_to_customers(service, path):
    row = Mailbox.history.get()
    row.history_credential, row.history_user = None, User.objects.create(username="carol")
    row.save()
    assert history(service, path)[0]["by"] == {"account": None, "credential": None, "kind": "staff"}


def test_the_queries_do_not_depend_on_the_length(service, path, django_assert_num_queries):
    for number in range(5):
        service.patch(path, {"name": f"Name {number}"})
    with django_assert_num_queries(4):  # credential, mailbox, both histories
        assert len(history(service, path)) == 6


def test_a_deleted_mailbox_has_one_as_long_as_it_can_be_restored(service, path):
    service.delete(path)
    assert service.get(f"{path}/history").status == 200
    Mailbox.objects.update(deleted_at=timezone.now() - timedelta(days=31))
    assert service.get(f"{path}/history").status == 404


def test_anothers_is_not_found(path, stranger):
    assert InProcess(headers_for(stranger)).get(f"{path}/history").status == 404


def test_over_the_wire(wire):
    path = f"/voip/mailbox/{wire.post('/voip/mailbox', {'name': 'Sales'}).result['uuid']}"
    assert [change["action"] for change in history(wire, path)] == ["created"]
