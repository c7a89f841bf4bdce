"""Prepared queries return the queryset's rows, and reconnect after a lost connection."""

import sqlite3
import time
from contextlib import closing, contextmanager

import pytest
from django.db import OperationalError, connection, models, transaction
from django.db.backends.signals import connection_created

from mailboxes.db.connections import set_timeouts
from mailboxes.db.queries import Param, PreparedQuery
from mailboxes.models import Account, Mailbox

pytestmark = pytest.mark.django_db

BY_NAME = PreparedQuery(
    lambda: (
        Mailbox.objects.filter(
            account=Param("account", models.BigIntegerField()),
            name=Param("name", models.CharField()),
        )
        .order_by("uuid")
        .values_list("uuid", "beep", "created_at", "greeting")
    )
)


ALL_NAMES = PreparedQuery(
    lambda: Mailbox.objects.filter(account=Param("account", models.BigIntegerField())).values_list(
        "name"
    )
)


@pytest.fixture
def accounts(db):
    accounts = [Account.objects.create(name=name) for name in ("acme", "zeta")]
    for account in accounts:
        for name in ("Sales", "Sales", "100 % of it"):
            Mailbox.objects.create(account=account, name=name, beep=name != "Sales")
    return accounts


def test_each_run_uses_its_own_values(accounts):
    for account in accounts:
        for name, count in (("Sales", 2), ("100 % of it", 1), ("Unknown", 0)):
            expected = Mailbox.objects.filter(account=account, name=name).order_by("uuid")
            rows = [tuple(row) for row in BY_NAME.rows(account=account.pk, name=name)]
            assert rows == list(expected.values_list("uuid", "beep", "created_at", "greeting"))
            assert len(rows) == count


def test_parameter_value_is_never_part_of_the_sql(accounts):
    assert not list(BY_NAME.rows(account=accounts[0].pk, name="' OR 1=1 --"))


def test_query_is_compiled_once(accounts, monkeypatch):
    list(BY_NAME.rows(account=1, name="Sales"))
    monkeypatch.setattr(Mailbox.objects, "filter", None)
    list(BY_NAME.rows(account=2, name="Sales"))


def test_error_on_a_live_connection_is_not_retried(accounts):
    queries = []

    def refuse(execute, sql, params, many, context):
        if "mailboxes_mailbox" in sql:
            queries.append(sql)
            raise OperationalError("too much")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse), pytest.raises(OperationalError):
        BY_NAME.rows(account=1, name="Sales")
    assert len(queries) == 1


def end_connection():
    """End this connection on the server, as a restart of PostgreSQL does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    with closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])


@contextmanager
def lock_mailboxes():
    """Lock the table of mailboxes, also for reading."""
    with closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE mailboxes_mailbox")
        yield


@pytest.fixture
def short_timeout(settings):
    """Connections with the server's timeouts, of one second."""
    settings.DATABASE_TIMEOUT = 1
    connection.close()
    connection_created.connect(set_timeouts)
    yield
    connection_created.disconnect(set_timeouts)
    connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no connection that can end")
class TestDeadConnection:
    def test_dead_connection_is_replaced(self, accounts):
        end_connection()
        assert len(list(BY_NAME.rows(account=accounts[0].pk, name="Sales"))) == 2

    def test_dead_connection_in_a_transaction_raises_an_error(self, accounts):
        with pytest.raises(OperationalError):
            self.run_in_transaction_after_the_end(accounts[0])

    @transaction.atomic
    def run_in_transaction_after_the_end(self, account):
        end_connection()
        BY_NAME.rows(account=account.pk, name="Sales")

    @pytest.mark.usefixtures("short_timeout")
    def test_timeout_is_not_retried(self, accounts):
        """A second try would wait as long again."""
        queries = []

        def record(execute, sql, params, many, context):
            queries.append(sql)
            return execute(sql, params, many, context)

        with lock_mailboxes(), connection.execute_wrapper(record), pytest.raises(OperationalError):
            BY_NAME.rows(account=accounts[0].pk, name="Sales")
        assert len([sql for sql in queries if "mailboxes_mailbox" in sql]) == 1

    @pytest.mark.usefixtures("short_timeout")
    def test_client_times_out_if_postgresql_hangs(self, accounts):
        """A PostgreSQL that hangs does not apply its own timeouts either."""
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0; SET lock_timeout = 10000")
        start = time.monotonic()
        with lock_mailboxes(), pytest.raises(OperationalError):
            BY_NAME.rows(account=accounts[0].pk, name="Sales")
        assert 1 <= time.monotonic() - start < 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    connection.vendor == "postgresql", reason="PostgreSQL has no file that stays open"
)
def test_failed_read_ends_its_read_transaction(accounts):
    """SQLite keeps the read transaction of a failed cursor until the cursor is closed."""
    Mailbox.objects.filter(name="Sales").update(
        name=models.expressions.RawSQL("CAST(x'61eda080' AS TEXT)", [])
    )
    with pytest.raises(OperationalError):
        ALL_NAMES.rows(account=accounts[0].pk)
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
