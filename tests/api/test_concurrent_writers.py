"""Concurrent writes, each on its own connection to the real server: no change is lost."""

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from itertools import chain

import pytest
from django.db import connection, transaction

from mailboxes import contract
from mailboxes.models import Account, Mailbox
from tests.conftest import headers_for
from tests.service import OverSocket

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS = 6


@pytest.fixture
def mailbox(server):
    account = Account.objects.create(name="acme")
    return Mailbox.objects.create(account=account, name="Sales")


def run_concurrently(server, work):
    """Run the work in each of several threads, and return the results."""
    headers = headers_for(Account.objects.get())

    def run(number):
        with closing(OverSocket(headers, port=server.port)) as service:
            return work(service, number)

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(run, range(WRITERS)))


def test_changes_of_different_fields_are_all_kept(server, mailbox):
    fields = ["beep", "play_caller_id", "play_timestamp", "transcribe", "password", "name"]
    values = [False, True, True, True, "4829", "Changed"]

    def change(service, number):
        return service.patch(f"/voip/mailbox/{mailbox.pk}", {fields[number]: values[number]}).status

    assert run_concurrently(server, change) == [200] * WRITERS
    mailbox.refresh_from_db()
    assert [getattr(mailbox, field) for field in fields] == values
    assert (mailbox.version, mailbox.history.count()) == (WRITERS + 1, WRITERS + 1)


def test_concurrent_additions_of_an_address_succeed_once(server, mailbox):
    def add(service, number):
        path = f"/voip/mailbox/{mailbox.pk}/email-recipient"
        return service.post(
            path, {"email": f"{'pete' if number % 2 else 'PETE'}@acme.example"}
        ).status

    assert sorted(run_concurrently(server, add)) == [201] + [409] * (WRITERS - 1)
    assert mailbox.email_recipients.count() == 1


def test_concurrent_additions_do_not_exceed_the_limit_of_recipients(server, mailbox):
    def add_ten(service, number):
        path = f"/voip/mailbox/{mailbox.pk}/email-recipient"
        emails = [f"{number}-{count}@acme.example" for count in range(10)]
        return [service.post(path, {"email": email}).status for email in emails]

    statuses = list(chain.from_iterable(run_concurrently(server, add_ten)))
    assert statuses.count(201) == mailbox.email_recipients.count() == contract.MAX_RECIPIENTS
    assert statuses.count(409) == WRITERS * 10 - contract.MAX_RECIPIENTS


def test_concurrent_deletions_of_a_mailbox_succeed_once(server, mailbox):
    def delete(service, number):
        return service.delete(f"/voip/mailbox/{mailbox.pk}").status

    assert sorted(run_concurrently(server, delete)) == [204] + [404] * (WRITERS - 1)


def test_concurrent_writes_with_the_same_etag_succeed_once(server, mailbox):
    def change(service, number):
        headers = {"If-Match": '"1"'}
        path = f"/voip/mailbox/{mailbox.pk}"
        return service.put(path, {"name": f"Writer {number}"}, headers=headers).status

    statuses = run_concurrently(server, change)
    assert sorted(statuses) == [200] + [412] * (WRITERS - 1)
    mailbox.refresh_from_db()
    assert (mailbox.name, mailbox.version) == (f"Writer {statuses.index(200)}", 2)


def test_writes_of_mailbox_and_recipient_with_the_same_etag_succeed_once(server, mailbox):
    recipient = mailbox.add_recipient("pete@acme.example")

    def change(service, number):
        path, headers = f"/voip/mailbox/{mailbox.pk}", {"If-Match": '"2"'}
        if number % 2:
            return service.patch(path, {"name": f"Writer {number}"}, headers=headers).status
        path = f"{path}/email-recipient/{recipient.pk}"
        return service.put(path, {"email": f"{number}@acme.example"}, headers=headers).status

    assert sorted(run_concurrently(server, change)) == [200] + [412] * (WRITERS - 1)
    mailbox.refresh_from_db()
    assert mailbox.version == 3


def test_calls_with_the_same_idempotency_key_are_executed_once(server, mailbox):
    def create(service, number):
        headers = {"Idempotency-Key": "the-same"}
        return service.post("/voip/mailbox", {"name": "Created once"}, headers=headers)

    answers = run_concurrently(server, create)
    created = {answer.result["uuid"] for answer in answers if answer.status == 201}
    assert {answer.status for answer in answers} <= {201, 409}  # 409: the first is still running
    assert created == {str(Mailbox.objects.get(name="Created once").pk)}


def test_second_call_with_the_key_of_a_running_call_is_refused_or_waits(server, mailbox):
    """PostgreSQL refuses the second call at once. On SQLite it waits for the first answer."""
    service = partial(OverSocket, headers_for(mailbox.account), port=server.port)

    def add():
        with closing(service()) as caller:
            path = f"/voip/mailbox/{mailbox.pk}/email-recipient"
            body, headers = {"email": "pete@acme.example"}, {"Idempotency-Key": "the-same"}
            return caller.post(path, body, headers=headers)

    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            Mailbox.objects.select_for_update().get()  # the first call waits for this lock
            calls = [pool.submit(add) for _ in range(2)]
            if connection.vendor == "postgresql":
                (refused,), _ = wait(calls, timeout=20, return_when=FIRST_COMPLETED)
                assert refused.result().status == 409
                assert refused.result().errors["non_field_errors"][0]["code"] == "in_progress"
                calls.remove(refused)
        answers = [call.result() for call in calls]
    created = str(mailbox.email_recipients.get().pk)
    assert {(answer.status, answer.result["uuid"]) for answer in answers} == {(201, created)}
