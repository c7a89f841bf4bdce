"""Queries compiled once: the ORM takes longer to write a query down than a database to answer it.

A statement is a queryset like any other, with names where the values stand that come with each
call. It is written down when it first runs, and PostgreSQL prepares it: from then on a call
sends the values and reads the rows.
"""

import time
from collections.abc import Callable, Iterable

from django.db import InterfaceError, OperationalError, connections, models
from django.utils.functional import cached_property
from psycopg import adapters
from psycopg.pq import Format

AWAY = (OperationalError, InterfaceError)  # how Django says that a database does not answer
MANY = 1000  # rows
PLAIN = (models.BigIntegerField, models.BooleanField, models.CharField)  # drivers know their values

# psycopg's own reader of moments: Django's, on top of it, is several times as slow.
MOMENTS = adapters.get_loader(adapters.types["timestamptz"].oid, Format.TEXT)


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


def forget_cursor(connection) -> None:
    """Let go of it, and of the rows that it has fetched."""
    connection.cursor_of_statements = (None, None)


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
        written = self.written.get(connection.vendor)
        if written is None:
            written = self.written[connection.vendor] = self.write(connection.alias)
        sql, slots, converters, compiler = written
        values = [
            slot.value(given[slot.name], connection) if isinstance(slot, Given) else slot
            for slot in slots
        ]
        cursor = cursor_of(connection)
        cursor.execute(sql, values)
        rows = cursor.fetchall()
        if len(rows) >= MANY:
            forget_cursor(connection)  # it would keep them until its next statement
        return compiler.apply_converters(rows, converters) if converters else rows

    def write(self, using):
        """The query's text, what stands in its places, and what makes Python's values of a row's."""
        compiler = self.build().query.get_compiler(using)
        sql, slots = compiler.as_sql()
        columns = [expression for expression, _sql, _alias in compiler.select]
        return sql, slots, compiler.get_converters(columns), compiler


def cursor_of(connection):
    """The cursor that the statements of a connection share: making one takes as long as half a statement."""
    made_by, cursor = getattr(connection, "cursor_of_statements", (None, None))
    is_there = made_by is not None and made_by is connection.connection
    if connection.queries_logged or not is_there:
        cursor = connection.cursor()
        if connection.vendor == "postgresql":
            cursor.adapters.register_loader("timestamptz", MOMENTS)
        connection.cursor_of_statements = (connection.connection, cursor)
    return cursor


class Insert:
    """Writes rows of a model, one at a time, by a statement that is written down once.

    All of a row's columns are given but its key, which the database makes; it is not read back.
    """

    def __init__(self, model: type[models.Model]):
        self.model = model

    def run(self, row: models.Model, using: str = "default") -> None:
        """Write the row. Raises django.db.Error, as saving it does."""
        connection = connections[using]
        values = [
            field.get_db_prep_save(getattr(row, field.attname), connection) for field in self.fields
        ]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, values)

    @cached_property
    def fields(self) -> list[models.Field]:
        """Known when all models are: `model` may be new."""
        return [field for field in self.model._meta.concrete_fields if not field.primary_key]

    @cached_property
    def sql(self) -> str:
        columns = ", ".join(f'"{field.column}"' for field in self.fields)
        places = ", ".join(["%s"] * len(self.fields))
        return f'INSERT INTO "{self.model._meta.db_table}" ({columns}) VALUES ({places})'  # noqa: S608  names of our own
