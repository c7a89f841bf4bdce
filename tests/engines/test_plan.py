"""A lookup finds its rows by indexes, on either database: it does not grow with the mailboxes."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.models import Mailbox
from tests.engines.engine import Asterisk, FreeSWITCH, engine_headers

LOOKUPS = {
    "single": lambda headers, mailbox: Asterisk(headers).single(mailbox.pk, "acme"),
    "multi": lambda headers, mailbox: Asterisk(headers).multi("acme"),
    "directory": lambda headers, mailbox: FreeSWITCH(headers).look_up(mailbox.pk, "acme"),
}


def plan(ask, *asked) -> str:
    """How the database goes about what the lookup asks it, the credential apart."""
    ask(*asked)  # the first use of a minute is written down
    with CaptureQueriesContext(connection) as queries:
        ask(*asked)
    _credential, lookup = queries
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # a table of two rows is read whole for good reason
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"{explain} {lookup['sql']}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def reads_whole_table(plan) -> bool:
    return "Seq Scan" in plan or "SCAN mailboxes_" in plan


@pytest.mark.parametrize("of_account", [True, False])
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_no_table_is_read_whole(account, mailbox, lookup, of_account):
    headers = engine_headers(account if of_account else None)
    found = plan(LOOKUPS[lookup], headers, mailbox)
    assert not reads_whole_table(found), found


def test_one_that_is_would_be_noticed(db):
    assert reads_whole_table(Mailbox.objects.filter(name="x").explain())
