"""The time of a credential's last use is recorded, but no call waits for a lock to do so."""

from contextlib import contextmanager

import pytest
from django.db import connection

from mailboxes.models import ApiCredential, Mailbox
from tests.conftest import headers_for
from tests.engines.engine import Asterisk, engine_headers
from tests.service import InProcess

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def open_transaction(sql):
    """Run the command in a transaction of another connection that stays open."""
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(sql)
        yield
        cursor.execute("ROLLBACK")
    other.close()


def get_last_used():
    return ApiCredential.objects.get().last_used_at


# A writer locks the whole file on SQLite, and a row or a table on PostgreSQL.
LOCKS = ["UPDATE mailboxes_apicredential SET networks = networks"]
if connection.vendor == "postgresql":
    LOCKS += ["LOCK TABLE mailboxes_apicredential IN SHARE MODE"]


@pytest.mark.parametrize("sql", LOCKS)
def test_engine_lookup_waits_for_no_lock(account, sql):
    asterisk = Asterisk(engine_headers(account))
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    with open_transaction(sql):
        assert asterisk.mailbox(mailbox)["fullname"] == "Sales"
    assert get_last_used() is None
    assert asterisk.mailbox(mailbox)["fullname"] == "Sales"
    assert get_last_used() is not None


@pytest.mark.parametrize("sql", LOCKS)
def test_api_call_waits_for_no_lock(account, sql):
    api = InProcess(headers_for(account))
    with open_transaction(sql):
        assert api.get("/voip/mailbox").status == 200
    assert get_last_used() is None
    assert api.get("/voip/mailbox").status == 200
    assert get_last_used() is not None


def get_lock_timeout():
    """Return the time that a query waits for a lock, as the database writes it."""
    name = "SHOW lock_timeout" if connection.vendor == "postgresql" else "PRAGMA busy_timeout"
    with connection.cursor() as cursor:
        cursor.execute(name)
        return cursor.fetchone()[0]


def test_lock_timeout_of_other_queries_is_unchanged(account):
    api, before = InProcess(headers_for(account)), get_lock_timeout()
    with open_transaction(LOCKS[0]):
        api.get("/voip/mailbox")
        assert get_lock_timeout() == before
    api.get("/voip/mailbox")
    assert get_lock_timeout() == before
