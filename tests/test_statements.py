"""Compiled queries: the same rows as the queryset's, whichever values they are run with."""

import pytest
from django.db import OperationalError, connection, models, transaction
from django.db.backends.signals import connection_created

from config.database import bound
from mailboxes.models import Account, Mailbox
from mailboxes.statements import Given, Statement

pytestmark = pytest.mark.django_db

NAMED = Statement(
    lambda: (
        Mailbox.objects.filter(
            account=Given("account", models.BigIntegerField()),
            name=Given("name", models.CharField()),
        )
        .order_by("uuid")
        .values_list("uuid", "beep", "created_at", "greeting")
    )
)


@pytest.fixture
def accounts(db):
    accounts = [Account.objects.create(name=name) for name in ("acme", "zeta")]
    for account in accounts:
        for name in ("Sales", "Sales", "100 % of it"):
            Mailbox.objects.create(account=account, name=name, beep=name != "Sales")
    return accounts


def test_each_run_has_its_own_values(accounts):
    for account in accounts:
        for name, count in (("Sales", 2), ("100 % of it", 1), ("Nobody's", 0)):
            wanted = Mailbox.objects.filter(account=account, name=name).order_by("uuid")
            rows = [tuple(row) for row in NAMED.rows(account=account.pk, name=name)]
            assert rows == list(wanted.values_list("uuid", "beep", "created_at", "greeting"))
            assert len(rows) == count


def test_a_value_is_never_part_of_the_query(accounts):
    assert not list(NAMED.rows(account=accounts[0].pk, name="' OR 1=1 --"))


def test_it_is_compiled_once(accounts, monkeypatch):
    list(NAMED.rows(account=1, name="Sales"))
    monkeypatch.setattr(Mailbox.objects, "filter", None)
    list(NAMED.rows(account=2, name="Sales"))


def test_what_a_living_connection_refuses_is_not_asked_again(accounts):
    asked = []

    def refuse(execute, sql, params, many, context):
        if "mailboxes_mailbox" in sql:
            asked.append(sql)
            raise OperationalError("too much")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse), pytest.raises(OperationalError):
        NAMED.rows(account=1, name="Sales")
    assert len(asked) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="nobody can cut a file's connection")
class TestConnectionThatHasDied:
    def cut(self):
        """End this connection, as a restart of the server does."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        other.close()

    def test_is_replaced(self, accounts):
        self.cut()
        assert len(list(NAMED.rows(account=accounts[0].pk, name="Sales"))) == 2

    def test_is_not_replaced_within_a_transaction(self, accounts):
        with pytest.raises(OperationalError):
            self.cut_and_ask(accounts[0])

    @transaction.atomic
    def cut_and_ask(self, account):
        self.cut()
        NAMED.rows(account=account.pk, name="Sales")

    @pytest.fixture
    def bounded(self, settings):
        """Connections give up after a second, as the server's do after DATABASE_TIMEOUT."""
        settings.DATABASE_TIMEOUT = 1
        connection.close()
        connection_created.connect(bound)
        yield
        connection_created.disconnect(bound)
        connection.close()

    @pytest.mark.usefixtures("bounded")
    def test_one_that_gives_no_answer_is_none(self, accounts):
        """Whoever asked again would wait as long again."""
        asked = []

        def note(execute, sql, params, many, context):
            asked.append(sql)
            return execute(sql, params, many, context)

        other = connection.copy()
        with other.cursor() as cursor, connection.execute_wrapper(note):
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE mailboxes_mailbox")
            with pytest.raises(OperationalError):
                NAMED.rows(account=accounts[0].pk, name="Sales")
        other.close()
        assert len([sql for sql in asked if "mailboxes_mailbox" in sql]) == 1
