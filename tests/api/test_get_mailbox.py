"""GET /voip/mailbox/{uuid}: one mailbox, or not found."""

import pytest

from mailboxes.models import Mailbox

UNKNOWN = "31347d42-00bd-44a5-9b5c-20dc4197a2f6"


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales", password="0007")


def test_mailbox_is_served(service, mailbox):
    answer = service.get(f"/voip/mailbox/{mailbox.uuid}")
    assert (answer.status, answer.result["name"]) == (200, "Sales")


def test_unset_fields_are_null(service, account):
    mailbox = Mailbox.objects.create(account=account, name="Support")
    result = service.get(f"/voip/mailbox/{mailbox.uuid}").result
    assert (result["password"], result["greeting"]) == (None, None)


def test_uuid_is_served_in_lower_case(service, mailbox):
    answer = service.get(f"/voip/mailbox/{str(mailbox.uuid).upper()}")
    assert answer.result["uuid"] == str(mailbox.uuid)


def test_trailing_slash_is_accepted(service, mailbox):
    assert service.get(f"/voip/mailbox/{mailbox.uuid}/").status == 200


def test_deleted_mailbox_is_not_found(service, mailbox):
    mailbox.soft_delete()
    assert service.get(f"/voip/mailbox/{mailbox.uuid}").status == 404


@pytest.mark.parametrize(
    "malformed",
    [
        UNKNOWN.replace("-", ""),
        "{%7B" + UNKNOWN + "%7D}",
        UNKNOWN + "0",
        UNKNOWN[:-1] + "g",
        UNKNOWN + "%0A",
        UNKNOWN + "%00",
        "..%2Fmailbox",
        "1",
        "%F0%9F%93%9E",
        "%FF%FE",
        "١٢٣",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_malformed_uuid_is_not_found(service, method, malformed):
    answer = service.call(method, f"/voip/mailbox/{malformed}", {"name": "x"})
    assert (answer.status, answer.json["result"]) == (404, {})
