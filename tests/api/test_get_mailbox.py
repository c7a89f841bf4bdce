import pytest

from mailboxes.models import Mailbox

UNKNOWN = "31347d42-00bd-44a5-9b5c-20dc4197a2f6"


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales", password="0007")


def test_it_is_served(service, mailbox):
    answer = service.get(f"/voip/mailbox/{mailbox.uuid}")
    assert (answer.status, answer.result["name"]) == (200, "Sales")


def test_leading_zeros_of_the_pass_code_are_kept(service, mailbox):
    assert service.get(f"/voip/mailbox/{mailbox.uuid}").result["password"] == "0007"


def test_what_is_not_set_is_null(service, account):
    mailbox = Mailbox.objects.create(account=account, name="Bare")
    shown = service.get(f"/voip/mailbox/{mailbox.uuid}").result
    assert (shown["password"], shown["greeting"]) == (None, None)


def test_the_uuid_in_either_case_is_served_in_lower_case(service, mailbox):
    answer = service.get(f"/voip/mailbox/{str(mailbox.uuid).upper()}")
    assert answer.result["uuid"] == str(mailbox.uuid)


def test_with_a_trailing_slash_too(service, mailbox):
    assert service.get(f"/voip/mailbox/{mailbox.uuid}/").status == 200


def test_a_deleted_one_is_not_found(service, mailbox):
    mailbox.soft_delete()
    assert service.get(f"/voip/mailbox/{mailbox.uuid}").status == 404


def test_an_unknown_one_is_not_found(wire):
    assert wire.get(f"/voip/mailbox/{UNKNOWN}").status == 404


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
def test_a_malformed_uuid_is_not_found(service, method, malformed):
    answer = service.call(method, f"/voip/mailbox/{malformed}", {"name": "x"})
    assert (answer.status, answer.json["result"]) == (404, {})
