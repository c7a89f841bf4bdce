"""Queries compiled once: the ORM takes longer to write a query down than a database to answer it.

A statement is a queryset like any other, with names where the values stand that come with each
call. It is written down when it first runs, and PostgreSQL prepares it: from then on a call
sends the values and reads the rows.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from types import NoneType
from typing import cast
from uuid import UUID

from django.db import InterfaceError, OperationalError, connections, models, transaction
from django.db.models.base import ModelState
from django.utils.functional import cached_property
from psycopg import adapters
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

AWAY = (OperationalError, InterfaceError)  # how Django says that a database does not answer
PLAIN = (models.BigIntegerField, models.BooleanField, models.CharField)  # drivers know their values

# Of what a row holds, by the kind of database; each field would look at it for longer.
TAKEN_AS_THEY_ARE: dict[str, set[type]] = {
    "postgresql": {bool, datetime, NoneType, str, UUID},
    "sqlite": {bool, NoneType},
}

# psycopg's own reader of moments: Django's, on top of it, is several times as slow.
MOMENTS = adapters.get_loader(adapters.types["timestamptz"].oid, Format.TEXT)


class Undecoded(Loader):
    """Leaves a text as the UTF-8 bytes that came."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


UNDECODED = "bpchar"  # a type of text that no column of ours has


def on_living(connection, read: Callable):
    """What `read` returns. Raises django.db.Error.

    A connection that has died since its last call is replaced: this is read again on a new one,
    so nobody has to ask beforehand whether it still lives. One that gives no answer has not died:
    whoever has waited for it does not wait once more. Nor is one used for longer than CONN_MAX_AGE.
    """
    if has_aged(connection):
        connection.close()
    connection.health_check_done = True
    is_new = connection.connection is None
    try:
        return read()
    except AWAY:
        if is_new or connection.in_atomic_block or not has_died(connection):
            raise
        connection.close()
        return read()


def has_aged(connection) -> bool:
    """Whether its time is over. Django looks only before the requests that it answers."""
    until = connection.close_at
    return until is not None and time.monotonic() >= until and not connection.in_atomic_block


def has_died(connection) -> bool:
    """Whether the other side has ended it, as psycopg knows; a file's does not."""
    return getattr(connection.connection, "closed", False)


class Given(models.Expression):
    """In a query, a value of this kind of field that each run gives."""

    def __init__(self, name: str, output_field: models.Field):
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, compiler, connection):
        return "%s", [self]

    def value(self, value, connection):
        """As the database's driver takes it."""
        if isinstance(self.output_field, PLAIN):
            return value
        return self.output_field.get_db_prep_value(value, connection)


class Statement:
    """The query that `build` returns, of `values_list`, to be run again and again.

    It is built when it first runs: it can be declared beside the models it asks for.
    """

    def __init__(self, build: Callable[[], models.QuerySet]):
        self.build = build
        self.written: dict[str, tuple] = {}  # by the kind of database

    def rows(self, using: str = "default", **given) -> Iterable:
        """The rows for these values. Raises django.db.Error, as any query does."""
        connection = connections[using]
        return on_living(connection, lambda: self.run(connection, given))

    def run(self, connection, given):
        if connection.vendor not in self.written:
            self.written[connection.vendor] = self.write(connection.alias)
        sql, slots, converters, compiler = self.written[connection.vendor]
        values = [
            slot.value(given[slot.name], connection) if isinstance(slot, Given) else slot
            for slot in slots
        ]
        cursor = cursor_of(connection)
        try:
            cursor.execute(sql, values)
            with connection.wrap_database_errors:  # as the cursor itself would, by a longer way
                rows = cursor.cursor.fetchall()
        except Exception:
            cursor.close()  # SQLite would go on reading, as of now
            connection.cursor_of_statements = (None, None)
            raise
        return compiler.apply_converters(rows, converters) if converters else rows

    def write(self, using):
        """The query's text, what stands in its places, and what makes Python's values of a row's."""
        compiler = self.build().query.get_compiler(using)
        sql, slots = compiler.as_sql()
        columns = [expression for expression, _sql, _alias in compiler.select]
        return sql, slots, compiler.get_converters(columns), compiler


def row_of(model: type[models.Model], names: Iterable[str], values: Iterable, using: str):
    """Return an instance with these columns' values, as Model.from_db does.

    `from_db` looks at each field and sends two signals, which takes a tenth of an API call's time.
    """
    row = model.__new__(model)
    row.__dict__.update(zip(names, values, strict=True))
    row._state = ModelState()
    row._state.adding, row._state.db = False, using
    return row


def cursor_of(connection):
    """Return the cursor that a connection's statements share.

    Making one takes half as long as running a statement.
    """
    made_by, cursor = getattr(connection, "cursor_of_statements", (None, None))
    if made_by is None or made_by is not connection.connection or connection.queries_logged:
        cursor = connection.cursor()
        if connection.vendor == "postgresql":
            cursor.adapters.register_loader("timestamptz", MOMENTS)
            cursor.adapters.register_loader(UNDECODED, Undecoded)
        connection.cursor_of_statements = (connection.connection, cursor)
    return cursor


class RecordedWrites:
    """Writes rows of a model, each with its row of history, by statements that are written down once.

    The database copies to history what it has written: PostgreSQL within the same statement, which
    is a transaction of its own.
    """

    def __init__(self, model: type[models.Model], history: type[models.Model]):
        self.model, self.history = model, history

    def insert(self, row: models.Model, history: dict, using: str) -> None:
        """Write a new row, and a history row with these fields besides. Raises django.db.Error."""
        connection = connections[using]
        values = values_of(row, self.columns)
        query = insertion(self.model, tuple(values))
        self.run(row, query, prepared(self.model, values, connection), history, connection)

    def update(
        self, row: models.Model, history: dict, using: str, names: Iterable[str] = (), **as_read
    ) -> bool:
        """Write the fields of these names, or all, and a history row with these fields besides.

        Return False, and write nothing, if the row is gone or its fields are not `as_read`.
        Raises django.db.Error.
        """
        connection = connections[using]
        fields = fields_of(self.model, tuple(names)) or self.columns
        values = values_of(row, [field for field in fields if not field.primary_key])
        known_by = {self.key.attname: row.pk} | as_read
        query = change(self.model, tuple(values), tuple(known_by))
        given = prepared(self.model, values, connection)
        given += prepared(self.model, known_by, connection)
        return self.run(row, query, given, history, connection)

    def run(self, row: models.Model, write: str, values: list, history: dict, connection) -> bool:
        using = connection.alias
        copy = copying(self.model, self.history, tuple(history))
        copied = prepared(self.history, history, connection)
        if connection.vendor == "postgresql":
            with transaction.mark_for_rollback_on_error(using):
                cursor = cursor_of(connection)
                cursor.execute(at_once(write, copy), values + copied)
                return cursor.rowcount == 1
        with transaction.atomic(using, savepoint=False), connection.cursor() as cursor:
            cursor.execute(write, values)
            if cursor.rowcount != 1:
                return False
            copied += prepared(self.model, {self.key.attname: row.pk}, connection)
            table, key = self.model._meta.db_table, self.key.column
            cursor.execute(f'{copy} FROM "{table}" WHERE "{key}" = %s', copied)
            return True

    @cached_property
    def columns(self) -> Sequence[models.Field]:
        return self.model._meta.concrete_fields

    @cached_property
    def key(self) -> models.Field:
        return self.model._meta.pk


def values_of(row: models.Model, fields: Iterable[models.Field]) -> dict:
    """What stands in the row for these fields, by their attributes' names."""
    return {field.attname: getattr(row, field.attname) for field in fields}


@cache
def fields_of(model: type[models.Model], names: tuple[str, ...]) -> list[models.Field]:
    """The model's fields that have these names, or whose attributes have."""
    return [cast(models.Field, model._meta.get_field(name)) for name in names]


def prepared(model: type[models.Model], values: dict, connection) -> list:
    """The values of these columns as the database takes them."""
    return [
        value if type(value) in taken else field.get_db_prep_save(value, connection)
        for value, (field, taken) in zip(
            values.values(), taken_by(model, tuple(values), connection.vendor), strict=True
        )
    ]


@cache
def taken_by(model: type[models.Model], names: tuple[str, ...], vendor: str) -> list[tuple]:
    """The model's fields that have these names, each with the types that are taken as they are.

    Whole numbers are, but of a field that makes True of one.
    """
    taken = TAKEN_AS_THEY_ARE[vendor]
    return [
        (field, taken if isinstance(field, models.BooleanField) else taken | {int})
        for field in fields_of(model, names)
    ]


@cache
def insertion(model: type[models.Model], names: tuple[str, ...]) -> str:
    """Return the text of an INSERT of these columns."""
    columns, places = ", ".join(quoted(model, names)), ", ".join(["%s"] * len(names))
    return f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES ({places})'  # noqa: S608  names of our own


@cache
def change(model: type[models.Model], names: tuple[str, ...], known_by: tuple[str, ...]) -> str:
    """Return the text of an UPDATE of these columns, where others have a value each."""
    set_to = ", ".join(f"{column} = %s" for column in quoted(model, names))
    where = " AND ".join(f"{column} = %s" for column in quoted(model, known_by))
    return f'UPDATE "{model._meta.db_table}" SET {set_to} WHERE {where}'  # noqa: S608  names of our own


@cache
def at_once(write: str, copy: str) -> str:
    """The text of a statement that writes a row, and what is copied of it."""
    return f"WITH written AS ({write} RETURNING *) {copy} FROM written"


@cache
def copying(model, history, names: tuple[str, ...]) -> str:
    """Return the start of an INSERT of history rows: copies, with values for these names."""
    kept = [field.attname for field in history.tracked_fields]
    columns = ", ".join(quoted(history, [*kept, *names]))
    values = ", ".join([*quoted(model, kept), *["%s"] * len(names)])
    return f'INSERT INTO "{history._meta.db_table}" ({columns}) SELECT {values}'


def quoted(model: type[models.Model], names: Iterable[str]) -> list[str]:
    return [f'"{field.column}"' for field in fields_of(model, tuple(names))]
