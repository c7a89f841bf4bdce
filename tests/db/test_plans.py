"""What is asked for one account is found by indexes, on either database: it does not grow with the others.

`make bench-growth` measures the same cases among a million mailboxes.
"""

import re
from itertools import chain

from django.db import connection, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from mailboxes.db.connections import PLANNER
from mailboxes.models import Mailbox
from tests.benchmarks.cases import CASES, OF_ALL_ACCOUNTS, Ordinary
from tests.benchmarks.filling import fill

ACCOUNTS, SIZE = 1000, 5  # so many that to read a table as a whole is dearer than to look up a few

# The tables that grow, but for the accounts themselves, of which even a large service has few: how
# many are in a tree no database can guess, and to read all of them may seem best.
GROWS = r"(?:mailboxes_(?!account\b)\w+|django_admin_log)"
PLANNED = re.compile(r"\A(?:SELECT|UPDATE|DELETE|WITH)\b")
# SQLite tells of a table by the query's own name for it.
ALIAS = re.compile(rf'"({GROWS})" ([A-Z]\d+)\b')


def plan(statement) -> str:
    """How the database goes about it."""
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {statement}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def read_whole(ask) -> list[str]:
    """The statements made by asking that read the whole of a table that grows, with their plans."""
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        ask()
        transaction.set_rollback(True)
    statements = [query["sql"] for query in captured if PLANNED.match(query["sql"])]
    plans = zip(statements, map(plan, statements), strict=True)
    return ["\n".join(of_one) for of_one in plans if reads_whole_table(*of_one)]


def reads_whole_table(statement, plan) -> bool:
    aliases = [alias for _table, alias in ALIAS.findall(statement)]
    return re.search(rf"(Seq Scan on|SCAN) ({'|'.join([GROWS, *aliases])})\b", plan) is not None


class TestPlans(TestCase):
    @classmethod
    def setUpTestData(cls):
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(PLANNER)
        cls.ordinary = Ordinary(fill(ACCOUNTS, SIZE))

    def test_what_is_of_one_account(self):
        found = {
            name: read_whole(lambda ask=ask: ask(self.ordinary)) for name, ask in CASES.items()
        }
        assert not any(found.values()), "\n\n".join(chain.from_iterable(found.values()))

    def test_what_is_of_all_is_noticed(self):
        assert read_whole(lambda: OF_ALL_ACCOUNTS["table of all, by search"](self.ordinary))
        assert read_whole(lambda: list(Mailbox.objects.filter(name="x")))
