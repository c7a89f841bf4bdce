"""Query plans: an account's queries do not slow down as other accounts grow.

`make bench-growth` measures the same cases among a million mailboxes.
"""

import re
from itertools import chain

from django.db import connection, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from mailboxes.db.connections import PLANNER
from mailboxes.models import Account, Mailbox
from tests.benchmarks.cases import CASES, OF_ALL_ACCOUNTS, Callers
from tests.benchmarks.filling import fill_tables
from tests.conftest import headers_for
from tests.service import InProcess

LARGE = 3000  # mailboxes
ACCOUNTS, SIZE = 1000, 5  # so many that reading a whole table costs more than looking up a few rows

# The tables that grow. The accounts are left out: even a large service has few of them, and since a
# database cannot guess how many are in a tree, it may choose to read them all.
GROWS = r"(?:mailboxes_(?!account\b)\w+|django_admin_log)"
PLANNED = re.compile(r"\A(?:SELECT|UPDATE|DELETE|WITH)\b")
# SQLite's plans name a table by its alias in the query.
ALIAS = re.compile(rf'"({GROWS})" ([A-Z]\d+)\b')


def explain(query) -> str:
    command = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{command} {query}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def find_full_scans(call) -> list[str]:
    """Return the queries of the call that read a whole table that grows, with their plans."""
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        call()
        transaction.set_rollback(True)
    queries = [query["sql"] for query in captured if PLANNED.match(query["sql"])]
    plans = zip(queries, map(explain, queries), strict=True)
    return ["\n".join(pair) for pair in plans if reads_whole_table(*pair)]


def reads_whole_table(query, plan) -> bool:
    aliases = [alias for _table, alias in ALIAS.findall(query)]
    return re.search(rf"(Seq Scan on|SCAN) ({'|'.join([GROWS, *aliases])})\b", plan) is not None


def create_large_account() -> InProcess:
    """Create an account with half of all mailboxes, and return its program."""
    account = Account.objects.create(name="large")
    Mailbox.objects.bulk_create(
        Mailbox(account=account, name=f"Box {number}") for number in range(LARGE)
    )
    return InProcess(headers_for(account))


class TestPlans(TestCase):
    @classmethod
    def setUpTestData(cls):
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(PLANNER)
        cls.ordinary = Callers(fill_tables(ACCOUNTS, SIZE))

    def test_calls_for_one_account_read_no_whole_table(self):
        found = {
            name: find_full_scans(lambda call=call: call(self.ordinary))
            for name, call in CASES.items()
        }
        assert not any(found.values()), "\n\n".join(chain.from_iterable(found.values()))

    def test_lists_of_changes_read_only_what_has_changed(self):
        """PostgreSQL misjudges a large account if most mailboxes of the others have no number."""
        program = create_large_account()
        lists = [f"/voip/mailbox?deleted={deleted}&changed_since=" for deleted in ("false", "true")]
        cursors = ["0", "0"]
        for _page in range(LARGE // 1000 + 1):
            answers = [
                program.get(path + since) for path, since in zip(lists, cursors, strict=True)
            ]
            cursors = [answer.headers["x-changes-cursor"] for answer in answers]
        with connection.cursor() as statistics:
            statistics.execute("ANALYZE")
        Mailbox.objects.latest("created_at").save()
        for path, since in zip(lists, cursors, strict=True):
            with CaptureQueriesContext(connection) as captured:
                program.get(path + since)
            queries = [query["sql"] for query in captured if "change_number" in query["sql"]]
            plans = [explain(query) for query in queries if query.startswith("SELECT")]
            assert len(plans) >= 2
            assert all("mailboxes_by_change" in plan for plan in plans), "\n\n".join(plans)

    def test_lists_of_all_messages_are_read_by_time(self):
        """They stop at the end of a page, so they sort nothing."""
        for query, index in {
            "": "messages_by_time",
            "?heard=no": "unheard_messages_by_time",
        }.items():
            with CaptureQueriesContext(connection) as captured:
                self.ordinary.get_page("message-list", query)
            queries = [query["sql"] for query in captured if "received_at" in query["sql"]]
            (plan,) = [explain(query) for query in queries if "ORDER BY" in query]
            assert index in plan
            assert not re.search("Sort|TEMP B-TREE", plan), plan

    def test_list_of_deleted_messages_reads_those_of_its_mailbox(self):
        with CaptureQueriesContext(connection) as captured:
            self.ordinary.list_messages(deleted="true")
        queries = [query["sql"] for query in captured if "IS NOT NULL" in query["sql"]]
        plans = [explain(query) for query in queries if query.startswith("SELECT")]
        assert len(plans) == 2  # their number, and a page
        assert all("deleted_messages_of_mailbox" in plan for plan in plans), "\n\n".join(plans)

    def test_checker_finds_a_full_table_scan(self):
        assert find_full_scans(lambda: OF_ALL_ACCOUNTS["table of all, by search"](self.ordinary))
        assert find_full_scans(lambda: list(Mailbox.objects.filter(name="x")))
