"""POST /voip/mailbox/{uuid}/restore: works during the retention time."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.service import InProcess


@pytest.fixture
def mailbox(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales", password="4829")
    mailbox.add_recipient("pete@acme.example")
    mailbox.soft_delete()
    return mailbox


@pytest.fixture
def path(mailbox):
    return f"/voip/mailbox/{mailbox.uuid}"


def test_restored_mailbox_is_unchanged(wire):
    created = wire.post("/voip/mailbox", {"name": "Sales", "password": "4829"}).result
    path = f"/voip/mailbox/{created['uuid']}"
    before = wire.get(path).result
    wire.delete(path)
    answer = wire.post(f"{path}/restore")
    assert (answer.status, answer.result) == (200, before)
    assert wire.get(path).result == before


def test_recipients_are_restored_too(service, path):
    service.post(f"{path}/restore")
    (recipient,) = service.get(f"{path}/email-recipient").result
    assert recipient["email"] == "pete@acme.example"


def test_active_mailbox_is_unchanged(service, path, mailbox):
    service.post(f"{path}/restore")
    version = Mailbox.objects.get().version
    assert service.post(f"{path}/restore").status == 200
    assert Mailbox.objects.get().version == version


def test_restoration_with_an_old_etag_is_refused(service, path, mailbox):
    for tag, status in (('"0"', 412), (f'"{mailbox.version}"', 200)):
        assert Mailbox.objects.get().is_deleted
        assert service.post(f"{path}/restore", headers={"If-Match": tag}).status == status


@pytest.mark.parametrize("body", [b"", "{}", "nonsense"])
def test_request_body_is_ignored(service, path, body):
    assert service.call("POST", f"{path}/restore", body).status == 200


@pytest.mark.parametrize(("days", "status"), [(29, 200), (31, 404)])
def test_mailbox_past_the_retention_time_is_not_found(service, path, days, status):
    Mailbox.objects.update(deleted_at=timezone.now() - timedelta(days=days))
    assert service.post(f"{path}/restore").status == status


def test_retention_time_is_a_setting(service, path, settings):
    settings.RETENTION_DAYS = 1
    Mailbox.objects.update(deleted_at=timezone.now() - timedelta(days=2))
    assert service.post(f"{path}/restore").status == 404


def test_mailbox_of_another_account_is_not_found_and_stays_deleted(path, stranger, mailbox):
    assert InProcess(headers_for(stranger)).post(f"{path}/restore").status == 404
    assert Mailbox.objects.get().is_deleted


def test_get_is_405_and_restores_nothing(service, path):
    answer = service.get(f"{path}/restore")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert Mailbox.objects.get().is_deleted
