"""DELETE /voip/mailbox/{uuid}: the mailbox is not found any more, but can be restored."""

import pytest

from mailboxes.models import Mailbox


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales")


def test_deleted_mailbox_is_not_found_by_any_method(service, mailbox):
    path = f"/voip/mailbox/{mailbox.uuid}"
    answer = service.delete(path)
    assert (answer.status, answer.body) == (204, b"")
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert service.call(method, path, {"name": "x"}).status == 404


def test_recipients_of_a_deleted_mailbox_are_not_found(service, mailbox):
    recipient = mailbox.add_recipient("pete@acme.example")
    service.delete(f"/voip/mailbox/{mailbox.uuid}")
    path = f"/voip/mailbox/{mailbox.uuid}/email-recipient"
    assert service.get(path).status == 404
    assert service.get(f"{path}/{recipient.uuid}").status == 404


def test_deleted_mailbox_can_be_restored(service, mailbox):
    service.delete(f"/voip/mailbox/{mailbox.uuid}")
    Mailbox.objects.get(pk=mailbox.pk).restore()
    assert service.get(f"/voip/mailbox/{mailbox.uuid}").status == 200


def test_history_names_the_credential_as_author(service, mailbox):
    service.delete(f"/voip/mailbox/{mailbox.uuid}")
    last = mailbox.history.latest()
    assert last.deleted_at is not None
    assert last.history_credential.name == "api"


def test_request_body_is_ignored(service, mailbox):
    assert service.call("DELETE", f"/voip/mailbox/{mailbox.uuid}", "[1, 2").status == 204


def test_answer_has_no_body_and_the_connection_stays_open(wire):
    uuid = wire.post("/voip/mailbox", {"name": "Sales"}).result["uuid"]
    answer = wire.delete(f"/voip/mailbox/{uuid}")
    assert (answer.status, answer.body) == (204, b"")
    assert wire.get("/voip/mailbox").result == []
