"""Queries compiled once: the ORM takes longer to write a query down than a database to answer it.

A statement is a queryset like any other, with names where the values stand that come with each
call. It is written down when it first runs, and PostgreSQL prepares it: from then on a call
sends the values and reads the rows.
"""

import select
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import NoneType
from typing import Any, cast
from uuid import UUID

from django.db import Error, InterfaceError, OperationalError, connections, models, transaction
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


class Unread(Loader):
    """Leaves a text as it came, in UTF-8."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


UNREAD = "bpchar"  # a type of text that no column of ours has
adapters.register_loader(UNREAD, Unread)


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


def is_at_hand(using: str) -> bool:
    """Whether there is a connection whose time is not over, and which the other side has not ended."""
    connection = connections[using]
    if connection.connection is None or has_aged(connection):
        return False
    if connection.vendor != "postgresql":
        return True
    # Nobody has asked anything: the last words of a PostgreSQL that ends it are there, or nothing.
    said = select.poll()
    said.register(connection.connection.fileno(), select.POLLIN)
    return not said.poll(0)


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

    def filled(self, connection, given: dict) -> tuple[str, list]:
        """Its text, and what stands in its places for these values."""
        if connection.vendor not in self.written:
            self.written[connection.vendor] = self.write(connection.alias)
        sql, slots, *_ = self.written[connection.vendor]
        return sql, [
            slot.value(given[slot.name], connection) if isinstance(slot, Given) else slot
            for slot in slots
        ]

    def run(self, connection, given):
        filled = self.filled(connection, given)
        cursor = cursor_of(connection)
        try:
            cursor.execute(*filled)
            with connection.wrap_database_errors:  # as the cursor itself would, by a longer way
                rows = cursor.cursor.fetchall()
        except Exception:
            cursor.close()  # SQLite would go on reading, as of now
            connection.cursors_of_statements = (None, {})
            raise
        return self.converted(rows, connection)

    def converted(self, rows, connection):
        """Python's values of what the database's driver makes of them."""
        *_, converters, compiler = self.written[connection.vendor]
        return compiler.apply_converters(rows, converters) if converters else rows

    def write(self, using):
        """The query's text, what stands in its places, and what makes Python's values of a row's."""
        compiler = self.build().query.get_compiler(using)
        sql, slots = compiler.as_sql()
        columns = [expression for expression, _sql, _alias in compiler.select]
        return sql, slots, compiler.get_converters(columns), compiler


@dataclass
class Asked:
    """A statement with its values, which is run when its rows are wanted, or was sooner, with others."""

    statement: Statement
    given: dict
    found: Iterable | None = None
    refusal: Exception | None = None

    def rows(self, using: str = "default", **given) -> Iterable:
        """As the statement's own."""
        if self.refusal:
            raise self.refusal
        found, self.found = self.found, None  # which may be long: not kept till the end
        if found is None or given != self.given:
            return self.statement.rows(using, **given)
        return found


def ask_together(several: Sequence[Asked], using: str = "default") -> None:
    """Send these one behind the other, and wait for all answers (libpq's pipeline mode), if the database can.

    Where one is refused, each is run when its rows are wanted. But where a database that is there
    gives up, or does not answer, none is: each might wait as long again.
    """
    connection: Any = connections[using]
    if not (several and can_pipeline(connection)):
        return
    connection.health_check_done = True
    try:
        filled = [each.statement.filled(connection, each.given) for each in several]
        cursors = [cursor_of(connection, number).cursor for number in range(len(filled))]
        with connection.wrap_database_errors:
            with connection.connection.pipeline():
                for cursor, (sql, values) in zip(cursors, filled, strict=True):
                    cursor.execute(sql, values)
            found = [cursor.fetchall() for cursor in cursors]
    except Error as refusal:
        if isinstance(refusal, AWAY) and not has_died(connection):
            for each in several:
                each.refusal = refusal
        connection.close()  # with whatever is on its way still
    else:
        for each, rows in zip(several, found, strict=True):
            each.found = each.statement.converted(rows, connection)


def can_pipeline(connection) -> bool:
    """Whether it is open, and takes several statements, which are no part of anybody's transaction."""
    return (
        connection.vendor == "postgresql"
        and connection.connection is not None
        and connection.connection.prepare_threshold is not None  # not by way of PgBouncer
        and not (connection.in_atomic_block or connection.queries_logged or has_aged(connection))
    )


@dataclass(frozen=True)
class Found:
    """What a statement finds, in its one column, while a row is written: of the row, or what it is known by."""

    statement: Statement
    given: dict


def cursor_of(connection, number: int = 0):
    """One of the cursors that the statements of a connection share: making one takes as long as half a statement."""
    kept: tuple = getattr(connection, "cursors_of_statements", (None, {}))
    made_by, cursors = kept
    if made_by is None or made_by is not connection.connection:
        cursors = {}
    cursor = cursors.get(number)
    if cursor is None or connection.queries_logged:
        cursor = connection.cursor()
        if connection.vendor == "postgresql":
            cursor.adapters.register_loader("timestamptz", MOMENTS)
        connection.cursors_of_statements = (connection.connection, cursors | {number: cursor})
    return cursor


def as_row(model: type[models.Model], names: Iterable[str], values: Iterable, using: str):
    """The row of these columns' values, as Model.from_db makes it, which looks at each field for longer."""
    row = model.__new__(model)
    row.__dict__.update(zip(names, values, strict=True))
    row._state = ModelState()
    row._state.adding, row._state.db = False, using
    return row


class RecordedWrites:
    """Writes rows of a model, each with its row of history, by statements that are written down once.

    The database copies to history what it has written: PostgreSQL within the same statement, which
    is a transaction of its own.
    """

    def __init__(self, model: type[models.Model], history: type[models.Model]):
        self.model, self.history = model, history

    def insert(
        self, row: models.Model, told: dict, using: str, found: dict[str, Found] | None = None
    ) -> None:
        """Write a new row, and to its history what is `told` besides. Raises django.db.Error.

        A column that is `found`, and not by the row, is null where nothing is: an IntegrityError.
        """
        connection = connections[using]
        values = values_of(row, self.columns)
        if found:
            values = {name: value for name, value in values.items() if name not in found}
        texts, also = sought(found, connection)
        write = insertion(self.model, tuple(values), texts)
        given = prepared(self.model, values, connection) + also
        self.run(row, write, given, told, connection)

    def update(
        self,
        row: models.Model,
        told: dict,
        using: str,
        names: Iterable[str] = (),
        found: dict[str, Found] | None = None,
        **as_read,
    ) -> bool:
        """Write the fields of these names, or all, likewise; not if the row is gone, or is other than it was `as_read` or is `found`.

        Says whether it was written. Raises django.db.Error.
        """
        connection = connections[using]
        fields = fields_of(self.model, tuple(names)) or self.columns
        values = values_of(row, [field for field in fields if not field.primary_key])
        known_by = {self.key.attname: row.pk} | as_read
        texts, also = sought(found, connection)
        write = change(self.model, tuple(values), tuple(known_by), texts)
        given = prepared(self.model, values, connection)
        given += prepared(self.model, known_by, connection)
        return self.run(row, write, given + also, told, connection)

    def run(self, row: models.Model, write: str, values: list, told: dict, connection) -> bool:
        using = connection.alias
        copy = copying(self.model, self.history, tuple(told))
        also = prepared(self.history, told, connection)
        if connection.vendor == "postgresql":
            with transaction.mark_for_rollback_on_error(using):
                cursor = cursor_of(connection)
                cursor.execute(at_once(write, copy), values + also)
                return cursor.rowcount == 1
        with transaction.atomic(using, savepoint=False), connection.cursor() as cursor:
            cursor.execute(write, values)
            if cursor.rowcount != 1:
                return False
            also += prepared(self.model, {self.key.attname: row.pk}, connection)
            table, key = self.model._meta.db_table, self.key.column
            cursor.execute(f'{copy} FROM "{table}" WHERE "{key}" = %s', also)
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


def sought(found: dict[str, Found] | None, connection) -> tuple[tuple[tuple[str, str], ...], list]:
    """The columns that are found, each with the text that finds it; and what stands in the texts' places."""
    if not found:
        return (), []
    filled = {name: each.statement.filled(connection, each.given) for name, each in found.items()}
    texts = tuple((name, text) for name, (text, _values) in filled.items())
    return texts, [value for _text, values in filled.values() for value in values]


@cache
def insertion(
    model: type[models.Model], names: tuple[str, ...], found: tuple[tuple[str, str], ...]
) -> str:
    """The text of an INSERT of these columns, and of those that are found."""
    columns = quoted(model, [*names, *(name for name, _text in found)])
    places = [*["%s"] * len(names), *(f"({text})" for _name, text in found)]
    return (
        f'INSERT INTO "{model._meta.db_table}" ({", ".join(columns)}) VALUES ({", ".join(places)})'  # noqa: S608  names of our own
    )


@cache
def change(
    model: type[models.Model],
    names: tuple[str, ...],
    known_by: tuple[str, ...],
    found: tuple[tuple[str, str], ...],
) -> str:
    """The text of an UPDATE of these columns, where others have a value each, or what is found."""
    set_to = ", ".join(f"{column} = %s" for column in quoted(model, names))
    where = [f"{column} = %s" for column in quoted(model, known_by)]
    for name, text in found:
        where += [f"{column} = ({text})" for column in quoted(model, [name])]
    return f'UPDATE "{model._meta.db_table}" SET {set_to} WHERE {" AND ".join(where)}'  # noqa: S608  names of our own


@cache
def at_once(write: str, copy: str) -> str:
    """The text of a statement that writes a row, and what is copied of it."""
    return f"WITH written AS ({write} RETURNING *) {copy} FROM written"


@cache
def copying(model, history, told: tuple[str, ...]) -> str:
    """The beginning of what makes rows of history of a model's rows, and of values told besides."""
    kept = [field.attname for field in history.tracked_fields]
    columns = ", ".join(quoted(history, [*kept, *told]))
    values = ", ".join([*quoted(model, kept), *["%s"] * len(told)])
    return f'INSERT INTO "{history._meta.db_table}" ({columns}) SELECT {values}'


def quoted(model: type[models.Model], names: Iterable[str]) -> list[str]:
    return [f'"{field.column}"' for field in fields_of(model, tuple(names))]
