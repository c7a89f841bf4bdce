"""Writes a row and its history row with one prepared query."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from types import NoneType
from typing import cast
from uuid import UUID

from django.db import connections, models, transaction
from django.utils.functional import cached_property

from mailboxes.db.queries import cursor_of

# Of what a row holds, by the kind of database; each field would look at it for longer.
TAKEN_AS_THEY_ARE: dict[str, set[type]] = {
    "postgresql": {bool, datetime, NoneType, str, UUID},
    "sqlite": {bool, NoneType},
}


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
