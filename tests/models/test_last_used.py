"""When a credential was last used is written down, but no call waits for that."""

from contextlib import contextmanager

import pytest
from django.db import connection

from mailboxes.models import ApiCredential, Mailbox
from tests.conftest import headers_for
from tests.engines.engine import Asterisk, engine_headers
from tests.service import InProcess

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def held(sql):
    """Somebody else's transaction has run this, and goes on."""
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(sql)
        yield
        cursor.execute("ROLLBACK")
    other.close()


def last_used():
    return ApiCredential.objects.get().last_used_at


# On SQLite whoever writes holds all of it; on PostgreSQL, a row or a table.
HELD = ["UPDATE mailboxes_apicredential SET networks = networks"]
if connection.vendor == "postgresql":
    HELD += ["LOCK TABLE mailboxes_apicredential IN SHARE MODE"]


@pytest.mark.parametrize("sql", HELD)
def test_a_lookup_of_an_engine_waits_for_no_writer(account, sql):
    asterisk = Asterisk(engine_headers(account))
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    with held(sql):
        assert asterisk.mailbox(mailbox)["fullname"] == "Sales"
    assert last_used() is None
    assert asterisk.mailbox(mailbox)["fullname"] == "Sales"
    assert last_used() is not None


@pytest.mark.parametrize("sql", HELD)
def test_nor_does_a_call_of_the_api(account, sql):
    api = InProcess(headers_for(account))
    with held(sql):
        assert api.get("/voip/mailbox").status == 200
    assert last_used() is None
    assert api.get("/voip/mailbox").status == 200
    assert last_used() is not None


def limit():
    """How long a statement waits for a lock."""
    name = "SHOW lock_timeout" if connection.vendor == "postgresql" else "PRAGMA busy_timeout"
    with connection.cursor() as cursor:
        cursor.execute(name)
        return cursor.fetchone()[0]


def test_what_is_worth_waiting_for_waits_as_before(account):
    api, before = InProcess(headers_for(account)), limit()
    with held(HELD[0]):
        api.get("/voip/mailbox")
        assert limit() == before
    api.get("/voip/mailbox")
    assert limit() == before
