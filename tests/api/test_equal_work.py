"""A refusal takes the same work whatever exists, so that its time reveals nothing."""

import json
import re
from contextlib import closing
from datetime import timedelta
from statistics import median
from time import perf_counter
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mailboxes.models import Account, ApiCredential, Mailbox
from tests.databases import default_database, on_postgres, prepare
from tests.engines.engine import Asterisk, FreeSWITCH, engine_headers
from tests.server import Server
from tests.service import OverSocket

# The largest difference: steps of SQLite or pages of PostgreSQL. It takes about a microsecond.
TOLERANCE = 40 if connection.vendor == "sqlite" else 6

TRANSACTION = re.compile(r"(BEGIN|SAVEPOINT|RELEASE|ROLLBACK)\b")


def measure(call) -> tuple[list[str], int]:
    """Return the call's queries without their values, and the database's work for them.

    The work is the number of steps of SQLite's virtual machine, or of pages that PostgreSQL reads.
    """
    steps = 0

    def count_step():
        nonlocal steps
        steps += 1

    if connection.vendor == "sqlite":
        connection.connection.set_progress_handler(count_step, 1)
    with CaptureQueriesContext(connection) as captured:
        call()
    queries = [query["sql"] for query in captured if not TRANSACTION.match(query["sql"])]
    if connection.vendor == "sqlite":
        connection.connection.set_progress_handler(None, 1)
    else:
        steps = sum(map(count_pages, queries))
    return [re.sub(r"'[^']*'", "?", query) for query in queries], steps


def count_pages(query) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}")
        plan = cursor.fetchone()[0]
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]


def assert_equal_work(calls) -> None:
    for call in calls:
        call()  # compiles the queries, and marks credentials as used
    queries, work = zip(*map(measure, calls), strict=True)
    assert all(other == queries[0] for other in queries)
    assert max(work) - min(work) <= TOLERANCE, work


@pytest.fixture(autouse=True)
def without_dead_rows(db):
    """Remove rows that other tests rolled back: PostgreSQL reads their pages too."""
    if connection.vendor == "postgresql":
        other = connection.copy()
        with closing(other), other.cursor() as cursor:
            cursor.execute("VACUUM mailboxes_account, mailboxes_apicredential, mailboxes_mailbox")


@pytest.fixture
def others(stranger):
    """Accounts that are no customers of the caller: of all levels, and suspended."""
    above = stranger
    for level in range(1, 5):
        above = Account.objects.create(name=f"level-{level}", reseller=above)
    Account.objects.create(name="suspended", is_active=False)
    for account in Account.objects.exclude(name="acme"):
        Mailbox.objects.create(account=account, name="Sales", password="4829")


NAMES = ["nobody", "stranger", "level-1", "level-2", "level-4", "suspended"]


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("is_customer", [True, False])
@pytest.mark.parametrize("path", ["/voip/mailbox", "/voip/mailbox?limit=1", "/authenticated"])
def test_name_in_x_auth_for_takes_the_same_work(service, account, path, is_customer):
    if is_customer:
        account.reseller = Account.objects.create(name="reseller")
        account.save()

    def call(name):
        assert service.get(path, headers={"X-Auth-For": name}).status == 403

    assert_equal_work([lambda name=name: call(name) for name in NAMES])


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("engine", [Asterisk, FreeSWITCH])
def test_mailbox_of_an_engines_lookup_takes_the_same_work(account, engine):
    caller = engine(engine_headers(account))
    uuids = [uuid4(), *Mailbox.objects.values_list("pk", flat=True)]

    def look_up(uuid):
        answer = (caller.single if engine is Asterisk else caller.look_up)(uuid, "acme")
        assert answer.status == 200
        assert b"Sales" not in answer.body

    assert_equal_work([lambda uuid=uuid: look_up(uuid) for uuid in uuids])


@pytest.mark.usefixtures("others")
def test_account_of_an_engines_lookup_takes_the_same_work(account):
    caller = Asterisk(engine_headers(account))

    def look_up(name):
        assert caller.multi(name).body == b""

    assert_equal_work([lambda name=name: look_up(name) for name in NAMES])


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("suffix", ["", "?through=view", "/history", "/email-recipient"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_mailbox_of_another_account_takes_the_same_work(service, method, suffix):
    if suffix.startswith("/"):
        method = {"PUT": "POST"}.get(method, "GET")
    foreign = Mailbox.objects.exclude(account__name="acme").first()

    def call(uuid):
        path = f"/voip/mailbox/{uuid}{suffix}"
        body = None if method == "GET" else {"name": "Sales", "email": "ann@acme.example"}
        assert service.call(method, path, body).status in (404, 405)

    assert_equal_work([lambda: call(UUID(int=1)), lambda: call(foreign.pk)])


@pytest.mark.parametrize(
    "change",
    [
        {"X-Auth-Password": "mbx_wrong"},
        {"X-Auth-User": "nobody"},
        {"X-Auth-Reseller": "nobody"},
        {"X-Auth-Reseller": "stranger"},
    ],
)
@pytest.mark.parametrize("path", ["/voip/mailbox", "/voip/mailbox?through=view"])
def test_wrong_part_of_a_credential_takes_the_same_work(service, account, stranger, path, change):
    Mailbox.objects.bulk_create(Mailbox(account=account, name="Sales") for _ in range(100))

    def call(headers):
        assert service.get(path, headers=headers).status == 401

    assert_equal_work([lambda: call({"X-Auth-Password": "mbx_other"}), lambda: call(change)])


@pytest.mark.parametrize("change", ["revoked", "expired", "suspended"])
def test_credential_that_has_ended_takes_the_same_work(service, account, change):
    Mailbox.objects.bulk_create(Mailbox(account=account, name="Sales") for _ in range(100))
    if change == "revoked":
        ApiCredential.objects.get().revoke()
    elif change == "expired":
        ApiCredential.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    else:
        account.suspend()

    def call(headers):
        assert service.get("/voip/mailbox", headers=headers).status == 401

    assert_equal_work([lambda: call({"X-Auth-Password": "mbx_other"}), lambda: call({})])


@pytest.mark.long
@on_postgres
def test_time_of_a_refusal_is_the_same_for_every_name(databases):
    url = databases.empty()
    headers = prepare(url)
    with default_database(url):
        stranger = Account.objects.create(name="stranger")
        Account.objects.create(name="customer-of-stranger", reseller=stranger)

    def measure_time(name) -> float:
        start = perf_counter()
        assert caller.get("/authenticated", headers={"X-Auth-For": name}).status == 403
        return perf_counter() - start

    names = ["not-an-account-at-all", "customer-of-stranger"]
    differences = []
    with Server(url) as server, closing(OverSocket(headers, port=server.port)) as caller:
        for number in range(8000):
            order = names if number % 2 else names[::-1]
            times = {name: measure_time(name) for name in order}
            differences.append(times["customer-of-stranger"] - times["not-an-account-at-all"])
    assert abs(median(differences[200:])) < 10e-6
