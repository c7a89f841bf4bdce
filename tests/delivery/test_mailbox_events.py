"""Events of mailboxes: the task worker finds changes by programs, staff and others."""

import json

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.batches import undo_batch
from mailboxes.delivery import webhooks
from mailboxes.delivery.webhooks import announce_changes
from mailboxes.models import Account, Mailbox, WebhookDelivery
from tests.admin.browser import sign_in as sign_in_to_admin
from tests.conftest import headers_for
from tests.console.conftest import create_desks, get_undo_address, sign_in_member_of
from tests.console.test_bulk_change import confirm_preview
from tests.csvfiles.files import import_text
from tests.delivery.webhooks import create_webhook, list_events
from tests.engines.engine import Asterisk, engine_headers
from tests.service import InProcess

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailbox(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    mailbox.add_recipient("ann@example.com")
    return mailbox


@pytest.fixture
def endpoint(mailbox):
    """Return a webhook of the account, which is younger than the mailbox."""
    return create_webhook(mailbox.account)


@pytest.fixture
def events(endpoint):
    """Return a function that lists the events since its last call."""
    seen = set()

    def list_new():
        announce_changes()
        new = endpoint.deliveries.exclude(pk__in=seen).order_by("created_at")
        found = list(new)
        seen.update(delivery.pk for delivery in found)
        return [delivery.event for delivery in found]

    assert list_new() == []
    return list_new


def test_changes_before_the_webhook_are_not_sent(mailbox, events):
    assert WebhookDelivery.objects.count() == 0
    mailbox.refresh_from_db()
    assert mailbox.announced_version == mailbox.version


def test_event_has_the_mailbox_as_the_api_shows_it_without_pass_code(account, service, endpoint):
    shown = service.post("/voip/mailbox", {"name": "Büro", "password": "4829"}).result
    service.post(f"/voip/mailbox/{shown['uuid']}/email-recipient", {"email": "bob@example.com"})
    shown = service.get(f"/voip/mailbox/{shown['uuid']}").result
    announce_changes()
    (delivery,) = endpoint.deliveries.all()
    body = delivery.content["body"]
    data = json.loads(body)["data"]
    del shown["password"]
    assert data == shown | {"account": "acme"}
    assert list(data) == [*shown, "account"]
    assert "4829" not in body


def test_changes_by_the_api_are_sent(mailbox, service, events):
    path = f"/voip/mailbox/{mailbox.pk}"
    new = service.post("/voip/mailbox", {"name": "New"}).result["uuid"]
    assert events() == ["mailbox.created"]
    service.patch(path, {"beep": False})
    assert events() == ["mailbox.updated"]
    service.put(path, {"name": "Sales 2"})
    assert events() == ["mailbox.updated"]
    service.post(f"{path}/email-recipient", {"email": "bob@example.com"})
    assert events() == ["mailbox.updated"]
    service.delete(path)
    assert events() == ["mailbox.deleted"]
    service.post(f"{path}/restore")
    assert events() == ["mailbox.restored"]
    service.get(f"/voip/mailbox/{new}")
    assert events() == []


def test_several_changes_at_once_are_one_update(mailbox, service, events):
    for beep in (False, True, False):
        service.patch(f"/voip/mailbox/{mailbox.pk}", {"beep": beep})
    assert events() == ["mailbox.updated"]


def test_deletion_and_restoring_at_once_are_both_sent(mailbox, service, events):
    path = f"/voip/mailbox/{mailbox.pk}"
    service.patch(path, {"beep": False})
    service.delete(path)
    service.post(f"{path}/restore")
    service.patch(path, {"beep": True})
    assert events() == ["mailbox.deleted", "mailbox.restored"]


def test_changes_by_staff_are_sent(mailbox, account, events):
    client = sign_in_member_of("Manager")
    client.post(f"/mailboxes/{mailbox.pk}/delete/")
    assert events() == ["mailbox.deleted"]
    client.post(f"/mailboxes/{mailbox.pk}/restore/")
    assert events() == ["mailbox.restored"]
    client.post(f"/mailboxes/{mailbox.pk}/recipients/", {"email": "bob@example.com"})
    assert events() == ["mailbox.updated"]


def test_bulk_changes_by_staff_and_their_undo_are_sent(mailbox, account, events):
    desks = create_desks(account, 2)
    assert events() == ["mailbox.created"] * 2
    support = sign_in_member_of("Support")
    query = "&".join(f"uuid={desk.pk}" for desk in desks)
    response = confirm_preview(support, f"/bulk/delete/?{query}")
    assert events() == ["mailbox.deleted"] * 2
    support.post(get_undo_address(response))
    assert events() == ["mailbox.restored"] * 2


def test_changes_by_a_csv_file_are_sent(mailbox, account, events):
    user = User.objects.create_user("rosa")
    batch = import_text(user, f"uuid,account,name\n{mailbox.pk},acme,Renamed\n,acme,New\n")
    assert sorted(events()) == ["mailbox.created", "mailbox.updated"]
    undo_batch(batch, user)
    assert sorted(events()) == ["mailbox.deleted", "mailbox.updated"]


def test_pass_code_changed_by_telephone_is_sent_without_it(mailbox, account, endpoint, events):
    answer = Asterisk(engine_headers(account)).update(mailbox.pk, "acme", "2468")
    assert answer.body == b"1"
    assert events() == ["mailbox.updated"]
    assert "2468" not in endpoint.deliveries.get().content["body"]


def test_changes_in_django_admin_are_sent(mailbox, events):
    admin = sign_in_to_admin(User.objects.create_superuser("ada"))
    admin.save("mailbox_change", mailbox.pk, name="Support")
    assert events() == ["mailbox.updated"]
    admin.run_action("mailbox_changelist", "delete_selected", mailbox, post="yes")
    assert events() == ["mailbox.deleted"]


def test_webhook_that_was_off_gets_no_changes_of_that_time(mailbox, service, endpoint, events):
    endpoint.change(is_active=False)
    service.patch(f"/voip/mailbox/{mailbox.pk}", {"beep": False})
    assert events() == []
    endpoint.change(is_active=True)
    assert events() == []
    service.patch(f"/voip/mailbox/{mailbox.pk}", {"beep": True})
    assert events() == ["mailbox.updated"]


def test_second_webhook_gets_only_changes_since_it_was_created(mailbox, service, endpoint):
    announce_changes()
    service.patch(f"/voip/mailbox/{mailbox.pk}", {"beep": False})
    second = create_webhook(mailbox.account)
    announce_changes()
    assert list_events(endpoint) == ["mailbox.updated"]
    assert list_events(second) == []


def test_changes_of_customers_reach_resellers_that_include_them(account, stranger):
    customer = Account.objects.create(name="customer", reseller=account)
    including = create_webhook(account, include_customers=True)
    own = create_webhook(account)
    Mailbox.objects.create(account=customer, name="Of customer")
    Mailbox.objects.create(account=stranger, name="Of stranger")
    announce_changes()
    assert list_events(including) == ["mailbox.created"]
    assert list_events(own) == []
    assert json.loads(including.deliveries.get().content["body"])["data"]["account"] == "customer"


def test_more_changes_than_one_slice_are_all_sent(account, monkeypatch):
    monkeypatch.setattr(webhooks, "SLICE", 3)
    monkeypatch.setattr(webhooks, "OLD_SLICE", 2)
    for number in range(7):
        Mailbox.objects.create(account=account, name=f"Old {number}")
    endpoint = create_webhook(account)
    for number in range(7):
        Mailbox.objects.create(account=account, name=f"New {number}")
    announce_changes()
    assert list_events(endpoint) == ["mailbox.created"] * 7
    announce_changes()
    assert endpoint.deliveries.count() == 7


def test_account_without_webhooks_costs_one_query(account):
    Mailbox.objects.create(account=account, name="Sales")
    with CaptureQueriesContext(connection) as captured:
        announce_changes()
    assert len(captured) == 1


def test_changes_are_found_by_their_index(endpoint, service):
    announce_changes()
    with CaptureQueriesContext(connection) as captured:
        announce_changes()
    (query,) = [q["sql"] for q in captured if "announced_version" in q["sql"]]
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {query}")
        plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
    assert "unannounced_mailboxes" in plan, plan


def test_calls_with_another_credential_send_nothing_to_strangers(mailbox, endpoint, stranger):
    announce_changes()
    create_webhook(stranger)
    program = InProcess(headers_for(stranger))
    assert program.patch(f"/voip/mailbox/{mailbox.pk}", {"beep": False}).status == 404
    announce_changes()
    assert WebhookDelivery.objects.count() == 0
