"""A lookup finds its rows by indexes, on either database: it does not grow with the mailboxes."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.models import Mailbox
from tests.engines.engine import Asterisk, encoded, engine_headers


def plan(asterisk, command, **body) -> str:
    """How the database goes about what the lookup asks it, the credential apart."""
    asterisk.ask(command, encoded(**body))  # the first use of a minute is written down
    with CaptureQueriesContext(connection) as asked:
        asterisk.ask(command, encoded(**body))
    _credential, lookup = asked
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # a table of two rows is read whole for good reason
            cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"{explain} {lookup['sql']}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def reads_whole_table(plan) -> bool:
    return "Seq Scan" in plan or "SCAN mailboxes_" in plan


@pytest.mark.parametrize("of_account", [True, False])
@pytest.mark.parametrize("command", ["single", "multi"])
def test_no_table_is_read_whole(account, mailbox, command, of_account):
    asterisk = Asterisk(engine_headers(account if of_account else None))
    box = {"mailbox": mailbox.pk} if command == "single" else {}
    found = plan(asterisk, command, **box, context="acme")
    assert not reads_whole_table(found), found


def test_one_that_is_would_be_noticed(db):
    assert reads_whole_table(Mailbox.objects.filter(name="x").explain())
