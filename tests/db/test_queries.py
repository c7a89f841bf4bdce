"""Compiled queries: the same rows as the queryset's, whichever values they are run with."""

import sqlite3
import time
from contextlib import closing, contextmanager

import pytest
from django.db import IntegrityError, OperationalError, connection, models, transaction
from django.db.backends.signals import connection_created

from mailboxes.db.connections import set_timeouts
from mailboxes.db.queries import Param, PreparedQuery
from mailboxes.models import Account, Mailbox
from mailboxes.models.history import HistoryRecords
from mailboxes.models.mailboxes import ChangedMeanwhileError

pytestmark = pytest.mark.django_db

NAMED = PreparedQuery(
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


class TestRecordedWrites:
    """Each row with its row of history, or neither."""

    KEPT = [field.attname for field in Mailbox._meta.concrete_fields]

    @pytest.fixture
    def mailbox(self, account):
        return Mailbox.objects.create(account=account, name="100 % of it", password="4829")

    def states(self, mailbox):
        """What history says of it, the last state first."""
        return [tuple(row) for row in mailbox.history.values_list(*self.KEPT)]

    def state(self, mailbox):
        return Mailbox.objects.values_list(*self.KEPT).get(pk=mailbox.pk)

    def test_history_is_a_copy_of_what_was_written(self, mailbox):
        made = self.state(mailbox)
        assert self.states(mailbox) == [made]
        mailbox.beep = False
        mailbox.save()
        assert self.states(mailbox) == [self.state(mailbox), made]
        assert self.state(mailbox) == tuple(getattr(mailbox, name) for name in self.KEPT)
        assert [row.history_type for row in mailbox.history.all()] == ["~", "+"]

    def test_some_fields_alone(self, mailbox):
        Mailbox.objects.filter(pk=mailbox.pk).update(transcribe=True)
        mailbox.beep, mailbox.name = False, "Not saved"
        mailbox.save(update_fields=["beep"])
        found = Mailbox.objects.get()
        assert (found.beep, found.name, found.transcribe) == (False, "100 % of it", True)
        assert self.states(mailbox)[0] == self.state(mailbox)

    def test_a_relation_is_named_as_on_the_model(self, mailbox, stranger):
        mailbox.account = stranger
        mailbox.save(update_fields=["account"])
        assert Mailbox.objects.get().account == mailbox.history.first().account == stranger

    def test_not_where_it_has_other_values_than_were_read(self, mailbox):
        before = self.states(mailbox)
        told = HistoryRecords.history_fields("~")
        mailbox.name = "Support"
        assert not Mailbox.history_writer.update(mailbox, told, "default", ["name"], version=2)
        assert self.states(mailbox) == before == [self.state(mailbox)]
        assert Mailbox.history_writer.update(mailbox, told, "default", ["name"], version=1)
        assert self.states(mailbox) == [self.state(mailbox), *before]

    def test_what_is_gone_is_made_again(self, mailbox):
        """As Django does."""
        Mailbox.objects.filter(pk=mailbox.pk).delete()
        mailbox.save()
        assert Mailbox.objects.get() == mailbox
        assert mailbox.history.first().history_type == "+"

    def test_neither_where_one_is_refused(self, mailbox):
        before = self.state(mailbox)
        mailbox.name = ""  # the database wants one letter at least
        with pytest.raises(IntegrityError), transaction.atomic():
            mailbox.save()
        assert self.states(mailbox) == [self.state(mailbox)] == [before]

    def test_a_new_one_is_not_written_over_another(self, mailbox, account):
        with pytest.raises(IntegrityError), transaction.atomic():
            Mailbox(uuid=mailbox.pk, account=account, name="Support").save(force_insert=True)
        assert mailbox.history.count() == 1

    def test_a_change_is_not_made_over_anothers(self, mailbox):
        stale = Mailbox.objects.get()
        mailbox.change({"name": "Support"})
        with pytest.raises(ChangedMeanwhileError):
            stale.change({"beep": False})
        found = Mailbox.objects.get()
        assert (found.name, found.beep, found.version) == ("Support", True, 2)
        assert mailbox.history.count() == 2

    def test_a_change_leaves_other_columns_as_they_are(self, mailbox):
        """A pass code may have been sealed anew since, which is no change."""
        stale = Mailbox.objects.get()
        assert mailbox.reencrypt()
        stale.change({"name": "Support"})
        found = Mailbox.objects.get()
        assert (found.name, found.password_sealed) == ("Support", mailbox.password_sealed)
        assert mailbox.history.first().password_sealed == mailbox.password_sealed


def cut():
    """End this connection, as a restart of the server does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    with closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])


@contextmanager
def locked():
    """Nobody else can read a mailbox meanwhile."""
    with closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE mailboxes_mailbox")
        yield


@pytest.fixture
def bounded(settings):
    """Connections give up after a second, as the server's do after DATABASE_TIMEOUT."""
    settings.DATABASE_TIMEOUT = 1
    connection.close()
    connection_created.connect(set_timeouts)
    yield
    connection_created.disconnect(set_timeouts)
    connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="nobody can cut a file's connection")
class TestConnectionThatHasDied:
    def test_is_replaced(self, accounts):
        cut()
        assert len(list(NAMED.rows(account=accounts[0].pk, name="Sales"))) == 2

    def test_is_not_replaced_within_a_transaction(self, accounts):
        with pytest.raises(OperationalError):
            self.cut_and_ask(accounts[0])

    @transaction.atomic
    def cut_and_ask(self, account):
        cut()
        NAMED.rows(account=account.pk, name="Sales")

    @pytest.mark.usefixtures("bounded")
    def test_one_that_gives_no_answer_is_none(self, accounts):
        """Whoever asked again would wait as long again."""
        asked = []

        def note(execute, sql, params, many, context):
            asked.append(sql)
            return execute(sql, params, many, context)

        with (
            locked(),
            connection.execute_wrapper(note),
            pytest.raises(OperationalError),
        ):
            NAMED.rows(account=accounts[0].pk, name="Sales")
        assert len([sql for sql in asked if "mailboxes_mailbox" in sql]) == 1

    @pytest.mark.usefixtures("bounded")
    def test_client_gives_up_when_the_server_does_not(self, accounts):
        """A PostgreSQL that stands still does not run its own timeouts either."""
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0; SET lock_timeout = 10000")
        start = time.monotonic()
        with locked(), pytest.raises(OperationalError):
            NAMED.rows(account=accounts[0].pk, name="Sales")
        assert 1 <= time.monotonic() - start < 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "postgresql", reason="its file is read in transactions")
def test_what_cannot_be_read_is_read_no_longer(accounts):
    """SQLite goes on reading, as of then, until a cursor that has failed is closed."""
    Mailbox.objects.filter(name="Sales").update(
        name=models.expressions.RawSQL("CAST(x'61eda080' AS TEXT)", [])
    )
    with pytest.raises(OperationalError):
        ALL_NAMES.rows(account=accounts[0].pk)
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
