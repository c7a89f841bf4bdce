"""The history of a mailbox: author, time, before and after, with masked pass codes."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mailboxes.models import Account, Mailbox
from tests.conftest import headers_for
from tests.histories import set_clock_back
from tests.service import InProcess, shows


@pytest.fixture
def path(service):
    created = service.post("/voip/mailbox", {"name": "Sales", "password": "4829"}).result
    return f"/voip/mailbox/{created['uuid']}"


def get_history(service, path):
    return service.get(f"{path}/history").result


def list_changes(service, path):
    """Return action, before and after of each change, oldest first."""
    changes = reversed(get_history(service, path))
    return [(change["action"], change["before"], change["after"]) for change in changes]


def test_first_change_has_all_fields(service, path):
    (change,) = get_history(service, path)
    assert list(change) == ["action", "after", "at", "before", "by"]
    assert (change["action"], change["before"]) == ("created", {})
    assert change["after"]["name"] == "Sales"
    assert change["by"] == {"account": "acme", "credential": "api", "kind": "credential"}


def test_change_has_only_the_fields_that_differ(service, path):
    service.patch(path, {"beep": False, "name": "Sales"})
    assert list_changes(service, path)[1:] == [("changed", {"beep": True}, {"beep": False})]


def test_pass_code_is_masked_before_and_after(service, path):
    service.patch(path, {"password": "7302"})
    service.patch(path, {"password": None})
    assert list_changes(service, path)[1:] == [
        ("changed", {"password": "••••"}, {"password": "••••"}),
        ("changed", {"password": "••••"}, {"password": None}),
    ]
    text = service.get(f"{path}/history").body
    assert not shows(text, "4829")
    assert not shows(text, "7302")


def test_same_values_are_no_change(service, path):
    service.put(path, {"name": "Sales", "password": "4829"})
    assert len(get_history(service, path)) == 1


def test_changes_of_recipients_have_their_addresses(service, path):
    uuid = service.post(f"{path}/email-recipient", {"email": "pete@acme.example"}).result["uuid"]
    service.put(f"{path}/email-recipient/{uuid}", {"email": "mary@acme.example"})
    service.delete(f"{path}/email-recipient/{uuid}")
    assert list_changes(service, path)[1:] == [
        ("recipient added", {}, {"email": "pete@acme.example"}),
        ("recipient changed", {"email": "pete@acme.example"}, {"email": "mary@acme.example"}),
        ("recipient removed", {"email": "mary@acme.example"}, {}),
    ]


def test_deletion_and_restoration_are_listed(service, path):
    service.delete(path)
    service.post(f"{path}/restore")
    assert [action for action, _, _ in list_changes(service, path)] == [
        "created",
        "deleted",
        "restored",
    ]


def test_change_by_a_reseller_names_the_reseller_as_author(service, account):
    customer = Account.objects.create(name="customer", reseller=account)
    headers = {"X-Auth-For": "customer"}
    uuid = service.post("/voip/mailbox", {"name": "Sales"}, headers=headers).result["uuid"]
    (change,) = get_history(InProcess(headers_for(customer)), f"/voip/mailbox/{uuid}")
    assert change["by"]["account"] == "acme"


def test_change_by_staff_names_no_person(service, path):
    row = Mailbox.history.get()
    row.history_credential, row.history_user = None, User.objects.create(username="carol")
    row.save()
    assert get_history(service, path)[0]["by"] == {
        "account": None,
        "credential": None,
        "kind": "staff",
    }


def test_number_of_queries_does_not_depend_on_the_number_of_changes(
    service, path, django_assert_num_queries
):
    for number in range(5):
        service.patch(path, {"name": f"Name {number}"})
    with django_assert_num_queries(4):  # credential, mailbox, both histories
        assert len(get_history(service, path)) == 6


def test_history_of_a_deleted_mailbox_is_served_during_the_retention(service, path):
    service.delete(path)
    assert service.get(f"{path}/history").status == 200
    Mailbox.objects.update(deleted_at=timezone.now() - timedelta(days=31))
    assert service.get(f"{path}/history").status == 404


def test_history_of_another_accounts_mailbox_is_not_found(path, stranger):
    assert InProcess(headers_for(stranger)).get(f"{path}/history").status == 404


def test_order_is_kept_when_the_clock_is_set_back(service, path):
    ann = service.post(f"{path}/email-recipient", {"email": "ann@acme.example"}).result["uuid"]
    service.patch(path, {"beep": False})
    set_clock_back()
    service.delete(f"{path}/email-recipient/{ann}")
    service.patch(path, {"beep": True})
    service.post(f"{path}/email-recipient", {"email": "bob@acme.example"})
    assert [action for action, _, _ in list_changes(service, path)] == [
        "created",
        "recipient added",
        "changed",
        "recipient removed",
        "changed",
        "recipient added",
    ]


def test_history_works_over_the_wire(wire):
    path = f"/voip/mailbox/{wire.post('/voip/mailbox', {'name': 'Sales'}).result['uuid']}"
    assert [change["action"] for change in get_history(wire, path)] == ["created"]
