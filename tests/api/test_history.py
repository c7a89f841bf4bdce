"""The history of a mailbox: author, time, before and after, with masked pass codes."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models.signals import post_init
from django.utils import timezone

from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.conftest import headers_for
from tests.histories import rename_often, set_clock_back
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
    service.patch(path, {"name": "Sales", "beep": True})
    assert len(get_history(service, path)) == 1


def test_same_pass_code_is_a_change(service, path):
    assert service.put(path, {"name": "Sales", "password": "4829"}).headers["etag"] == '"2"'
    assert list_changes(service, path)[1:] == [
        ("changed", {"password": "••••"}, {"password": "••••"})
    ]


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


# --- Pages --------------------------------------------------------------------


def get_link(answer) -> str | None:
    link = answer.headers.get("link")
    return link and link.removeprefix("<http://localhost").removesuffix('>; rel="next"')


def get_names(changes):
    return [change["after"]["name"] for change in changes]


@pytest.fixture
def long_path(path):
    """Return the path of a mailbox with 251 versions."""
    rename_often(Mailbox.objects.get(), 250)
    return path


def test_history_is_short_by_default(service, long_path):
    answer = service.get(f"{long_path}/history")
    assert get_names(answer.result) == [f"Name {number}" for number in range(249, 149, -1)]
    assert get_link(answer) == f"{long_path}/history?cursor=152"


@pytest.mark.parametrize("query", ["", "?limit=13", "?limit=250", "?limit=251"])
def test_pages_have_each_change_once(service, long_path, query):
    names = [f"Name {number}" for number in range(249, -1, -1)]
    changes = list(service.get_rows(f"{long_path}/history{query}"))
    assert get_names(changes) == [*names, "Sales"]


def test_last_page_has_no_link(service, long_path):
    assert get_link(service.get(f"{long_path}/history?limit=251")) is None
    assert get_link(service.get(f"{long_path}/history?limit=250")) is not None


def test_new_change_does_not_shift_the_next_page(service, long_path):
    link = get_link(service.get(f"{long_path}/history?limit=3"))
    service.patch(long_path, {"name": "New"})
    answer = service.get(link)
    assert get_names(answer.result) == ["Name 246", "Name 245", "Name 244"]


def test_changes_of_one_recipient_on_several_pages_have_their_values(service, path):
    recipients = f"{path}/email-recipient"
    uuid = service.post(recipients, {"email": "0@acme.example"}).result["uuid"]
    for number in range(1, 6):
        service.put(f"{recipients}/{uuid}", {"email": f"{number}@acme.example"})
    service.delete(f"{recipients}/{uuid}")
    changes = list(service.get_rows(f"{path}/history?limit=2"))
    assert [change["before"].get("email") for change in changes] == [
        *(f"{number}@acme.example" for number in range(5, -1, -1)),
        None,
        None,
    ]


def test_versions_without_a_change_are_passed_over(service, path):
    for _time in range(8):
        service.patch(path, {"name": "Sales"})
    answer = service.get(f"{path}/history?limit=2")
    assert [change["action"] for change in answer.result] == ["created"]


def test_page_may_be_empty_and_not_the_last(service, path):
    for _time in range(25):
        service.patch(path, {"name": "Sales"})
    answer = service.get(f"{path}/history?limit=2")
    assert (answer.result, get_link(answer)) == ([], f"{path}/history?cursor=7&limit=2")
    (created,) = service.get_rows(get_link(answer))
    assert created["action"] == "created"


@pytest.mark.parametrize(
    "query",
    [
        *(f"limit={limit}" for limit in ("", "0", "1001", "many")),
        *(f"cursor={cursor}" for cursor in ("", "0", "x", "9" * 20)),
    ],
)
def test_wrong_parameter_is_named(service, path, query):
    answer = service.get(f"{path}/history?{query}")
    assert (answer.status, list(answer.errors)) == (400, [query.partition("=")[0]])


def test_unknown_parameter_is_refused_only_beside_a_known_one(service, path):
    assert service.get(f"{path}/history?account=acme").status == 200
    answer = service.get(f"{path}/history?account=acme&limit=2")
    assert (answer.status, list(answer.errors)) == (400, ["account"])


def test_cursor_after_the_newest_version_starts_at_the_newest(service, long_path):
    answer = service.get(f"{long_path}/history?cursor={2**31 - 1}&limit=1")
    assert get_names(answer.result) == ["Name 249"]


@pytest.mark.parametrize("query", ["limit=10", "limit=10&cursor=120"])
def test_page_reads_only_its_rows(service, long_path, query):
    read = []

    def count(sender, **kwargs):
        read.append(sender)

    models = (Mailbox.history.model, EmailRecipient.history.model)
    for model in models:
        post_init.connect(count, sender=model)
    try:
        assert len(service.get(f"{long_path}/history?{query}").result) == 10
    finally:
        for model in models:
            post_init.disconnect(count, sender=model)
    assert read == [models[0]] * 11  # one more, for the state before


def test_history_works_over_the_wire(wire):
    path = f"/voip/mailbox/{wire.post('/voip/mailbox', {'name': 'Sales'}).result['uuid']}"
    assert [change["action"] for change in get_history(wire, path)] == ["created"]
