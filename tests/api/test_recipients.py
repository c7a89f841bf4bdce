"""/voip/mailbox/{uuid}/email-recipient: the addresses that get a mailbox's messages."""

from urllib.parse import quote

import pytest

from mailboxes import contract
from mailboxes.models import EmailRecipient, Mailbox


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales")


@pytest.fixture
def path(mailbox):
    return f"/voip/mailbox/{mailbox.uuid}/email-recipient"


def test_recipient_is_created(service, path):
    answer = service.post(path, {"email": " Pete@Acme.example "})
    assert answer.status == 201
    assert list(answer.result) == ["created_on", "email", "uuid"]
    assert answer.result["email"] == "Pete@Acme.example"


def test_list_is_in_order_of_creation(service, path):
    for name in ("z", "a", "m"):
        service.post(path, {"email": f"{name}@acme.example"})
    listed = service.get(path).result
    assert [row["email"][0] for row in listed] == ["z", "a", "m"]
    assert list(listed[0]) == ["created_on", "email", "updated_on", "uuid"]


def test_order_of_the_list_does_not_depend_on_the_clock(service, path, mailbox):
    service.post(path, {"email": "z@acme.example"})
    EmailRecipient.objects.update(created_at="2099-01-01T00:00Z")
    service.post(path, {"email": "a@acme.example"})
    listed = [row["uuid"] for row in service.get(path).result]
    assert listed == [str(row.uuid) for row in mailbox.email_recipients.order_by("-email")]
    nested = service.get(f"/voip/mailbox/{mailbox.uuid}").result["email_recipients"]
    assert [row["uuid"] for row in nested] == listed


def test_recipient_is_served(service, path):
    created = service.post(path, {"email": "pete@acme.example"}).result
    answer = service.get(f"{path}/{created['uuid'].upper()}/")
    assert (answer.status, answer.result["email"]) == (200, "pete@acme.example")


def test_put_changes_the_address(service, path):
    created = service.post(path, {"email": "pete@acme.example"}).result
    answer = service.put(f"{path}/{created['uuid']}", {"email": "PETE@acme.example"})
    assert (answer.status, answer.result["email"]) == (200, "PETE@acme.example")


def test_deleted_recipient_is_not_found(service, path):
    created = service.post(path, {"email": "pete@acme.example"}).result
    assert service.delete(f"{path}/{created['uuid']}").status == 204
    assert service.get(path).result == []
    assert service.delete(f"{path}/{created['uuid']}").status == 404


def test_recipients_work_over_the_wire(wire):
    mailbox = wire.post("/voip/mailbox", {"name": "Sales"}).result
    path = f"/voip/mailbox/{mailbox['uuid']}/email-recipient/"
    created = wire.post(path, {"email": "pete@acme.example"}).result
    assert wire.put(path + created["uuid"], {"email": "p@acme.example"}).status == 200
    assert [row["email"] for row in wire.get(path).result] == ["p@acme.example"]
    assert wire.delete(path + created["uuid"]).status == 204
    assert wire.get(path).result == []


@pytest.mark.parametrize("change", ["add", "change", "remove"])
def test_recipient_change_updates_the_mailbox_date_and_version(service, path, mailbox, change):
    recipient = mailbox.add_recipient("pete@acme.example")
    Mailbox.objects.update(updated_at="2023-06-02T00:00Z", created_at="2023-06-02T00:00Z")
    version = Mailbox.objects.get().version
    if change == "add":
        service.post(path, {"email": "new@acme.example"})
    elif change == "change":
        service.put(f"{path}/{recipient.uuid}", {"email": "new@acme.example"})
    else:
        service.delete(f"{path}/{recipient.uuid}")
    result = service.get(f"/voip/mailbox/{mailbox.uuid}").result
    assert result["updated_on"] > "2023-06-02"
    assert Mailbox.objects.get().version == version + 1


def test_history_names_the_credential_as_author(service, path):
    uuid = service.post(path, {"email": "pete@acme.example"}).result["uuid"]
    assert EmailRecipient.history.get(uuid=uuid).history_credential.name == "api"


@pytest.mark.parametrize(
    ("email", "stored"),
    [
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@почта.example", "ann@xn--80a1acny.example"),
        ("Ann <ann@example.com>", "ann@example.com"),
        ('"Smith, Ann" <ann@bücher.example>', "ann@xn--bcher-kva.example"),
        (" <ann@example.com> ", "ann@example.com"),
    ],
)
def test_address_is_stored_without_a_name_and_with_its_domain_in_ascii(
    service, path, email, stored
):
    created = service.post(path, {"email": email})
    assert (created.status, created.result["email"]) == (201, stored)
    assert service.post(path, {"email": stored}).status == 409
    address = f"{path}/{created.result['uuid']}"
    service.put(address, {"email": "other@example.com"})
    assert service.put(address, {"email": email}).result["email"] == stored
    found = service.get(f"/voip/mailbox?recipient={quote(email)}").result
    assert [len(mailbox["email_recipients"]) for mailbox in found] == [1]


def test_duplicate_address_in_another_case_is_refused(service, path):
    service.post(path, {"email": "pete@acme.example"})
    answer = service.post(path, {"email": "PETE@ACME.example"})
    assert (answer.status, answer.errors["email"][0]["code"]) == (409, "unique")
    assert len(service.get(path).result) == 1


def test_change_to_an_existing_address_is_refused(service, path):
    service.post(path, {"email": "pete@acme.example"})
    other = service.post(path, {"email": "mary@acme.example"}).result["uuid"]
    assert service.put(f"{path}/{other}", {"email": "Pete@acme.example"}).status == 409
    assert service.get(f"{path}/{other}").result["email"] == "mary@acme.example"


def test_two_mailboxes_can_have_the_same_address(service, path, account):
    other = Mailbox.objects.create(account=account, name="Support")
    other.add_recipient("pete@acme.example")
    assert service.post(path, {"email": "pete@acme.example"}).status == 201


def test_fifty_recipients_are_accepted_and_the_51st_is_refused(service, path, mailbox):
    EmailRecipient.objects.bulk_create(
        EmailRecipient(mailbox=mailbox, email=f"{number}@acme.example")
        for number in range(contract.MAX_RECIPIENTS - 1)
    )
    assert service.post(path, {"email": "fiftieth@acme.example"}).status == 201
    assert service.post(path, {"email": "one-more@acme.example"}).status == 409
    assert mailbox.email_recipients.count() == 50


@pytest.mark.parametrize(
    "email",
    [
        "",
        "pete",
        "pete@",
        "@acme.example",
        "a b@acme.example",
        "pete@acme.example\nBcc: x@y.example",
        "pete@acme.example\x00",
        '"pete\x0bb"@acme.example',
        '"pete\x1bb"@acme.example',
        "Pete <pete>",
        "Pete <pete@acme.example> <mary@acme.example>",
        "pete@acme.example,mary@acme.example",
        "p" * 250 + "@acme.example",
        "péte@acme.example",
        "pete@straße.example",  # two versions of IDNA differ
        "pete@a＠b.example",
        "pete@bü..cher.example",
        f"pete@{'ü' * 100}.example",
        5,
        True,
        None,
        ["pete@acme.example"],
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_wrong_address_is_refused_and_changes_nothing(service, path, mailbox, method, email):
    recipient = mailbox.add_recipient("pete@acme.example")
    address = path if method == "POST" else f"{path}/{recipient.uuid}"
    answer = service.call(method, address, {"email": email})
    assert (answer.status, list(answer.errors)) == (400, ["email"])
    assert [row.email for row in mailbox.email_recipients.all()] == ["pete@acme.example"]


def test_missing_address_is_refused(service, path):
    assert service.post(path, {}).errors["email"][0]["code"] == "required"


def test_patch_of_a_recipient_is_405(service, path, mailbox):
    recipient = mailbox.add_recipient("pete@acme.example")
    answer = service.patch(f"{path}/{recipient.uuid}", {"email": "p@acme.example"})
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, PUT, DELETE")


def test_recipient_of_another_mailbox_is_not_found(service, path, account):
    other = Mailbox.objects.create(account=account, name="Support")
    recipient = other.add_recipient("pete@acme.example")
    for method in ("GET", "PUT", "DELETE"):
        body = {"email": "x@acme.example"}
        assert service.call(method, f"{path}/{recipient.uuid}", body).status == 404


def test_unknown_mailbox_is_not_found_with_a_wrong_body(service):
    path = "/voip/mailbox/31347d42-00bd-44a5-9b5c-20dc4197a2f6/email-recipient"
    assert service.post(path, {"email": "nonsense"}).status == 404
    assert service.get(path).status == 404
