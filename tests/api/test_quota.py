"""The quota of an account's active mailboxes: 409 above it, and exact with many callers."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.models import Mailbox
from mailboxes.models.accounts import ROOM
from tests.conftest import headers_for
from tests.databases import default_database
from tests.server import PreparedServer
from tests.service import InProcess, OverSocket

PATH = "/voip/mailbox"
CALLERS = 8


@pytest.fixture(autouse=True)
def quota(settings):
    settings.MAX_MAILBOXES_PER_ACCOUNT = 3


def create(service, **headers):
    return service.post(PATH, {"name": "Sales"}, headers=headers)


def fill(service):
    """Create as many mailboxes as the quota allows."""
    return [create(service).result["uuid"] for _ in range(3)]


# With a key, the call is answered by Django's views.
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "new"}])
def test_mailbox_above_the_quota_is_refused(service, headers):
    fill(service)
    answer = create(service, **headers)
    assert answer.status == 409
    (error,) = answer.errors["non_field_errors"]
    assert error["code"] == "limit"
    assert "acme" in error["message"]
    assert "at most 3 active mailboxes. Ask your administrator for more" in error["message"]
    assert Mailbox.objects.count() == Mailbox.history.count() == 3


def test_mailboxes_of_other_accounts_do_not_count(service, stranger):
    fill(service)
    assert create(InProcess(headers_for(stranger))).status == 201


def test_mailboxes_that_were_not_created_by_the_service_count(service, account):
    Mailbox.objects.bulk_create(Mailbox(account=account, name=f"Box {n}") for n in range(5))
    assert create(service).status == 409


def test_deleted_mailbox_does_not_count_until_it_is_restored(service):
    first = fill(service)[0]
    assert service.delete(f"{PATH}/{first}").status == 204
    assert create(service).status == 201
    answer = service.post(f"{PATH}/{first}/restore")
    assert (answer.status, answer.errors["non_field_errors"][0]["code"]) == (409, "limit")
    assert Mailbox.objects.get(pk=first).is_deleted
    other = service.get(PATH).result[0]["uuid"]
    service.delete(f"{PATH}/{other}")
    assert service.post(f"{PATH}/{first}/restore").status == 200
    assert create(service).status == 409


def test_mailboxes_above_a_lowered_quota_can_be_changed(service, settings):
    first = fill(service)[0]
    settings.MAX_MAILBOXES_PER_ACCOUNT = 1
    assert service.patch(f"{PATH}/{first}", {"name": "Support"}).status == 200
    assert len(service.get(PATH).result) == 3
    service.delete(f"{PATH}/{first}")
    assert create(service).status == 409


def test_raised_quota_takes_effect(service, settings):
    fill(service)
    settings.MAX_MAILBOXES_PER_ACCOUNT = 4
    assert [create(service).status, create(service).status] == [201, 409]


def test_most_creations_neither_lock_nor_count(service, settings):
    settings.MAX_MAILBOXES_PER_ACCOUNT = ROOM + 2
    create(service)  # the first one counts
    with CaptureQueriesContext(connection) as captured:
        assert create(service).status == 201
    queries = [query["sql"] for query in captured]
    assert not [sql for sql in queries if "COUNT" in sql or "FOR NO KEY UPDATE" in sql]


def test_account_that_may_be_full_soon_is_counted(account, settings):
    settings.MAX_MAILBOXES_PER_ACCOUNT = ROOM + 1
    cache.clear()
    assert account.has_room()
    Mailbox.objects.bulk_create(Mailbox(account=account, name=f"Box {n}") for n in range(2))
    assert account.has_room()  # a moment ago
    cache.clear()
    assert not account.has_room()


@pytest.mark.long
def test_quota_is_exact_with_concurrent_callers(databases):
    """Callers create, delete and restore mailboxes at once, near the quota."""
    url, most = databases.empty(), 20
    with PreparedServer(url, MAX_MAILBOXES_PER_ACCOUNT=str(most)) as server:

        def call(number):
            statuses = set()
            with closing(OverSocket(server.headers, port=server.port)) as service:
                for _ in range(15):
                    answer = create(service)
                    statuses.add(answer.status)
                    if answer.status == 201 and number % 2:
                        path = f"{PATH}/{answer.result['uuid']}"
                        service.delete(path)
                        statuses.add(service.post(f"{path}/restore").status)
                return statuses

        with ThreadPoolExecutor(CALLERS) as pool:
            statuses = set.union(*pool.map(call, range(CALLERS)))
        with default_database(url):
            assert Mailbox.objects.active().count() == most
    assert {201, 409} <= statuses <= {200, 201, 409}
