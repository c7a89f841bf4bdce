"""Writes a row and its history row with one prepared query."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from types import NoneType
from typing import cast
from uuid import UUID

from django.db import connections, models, transaction
from django.utils.functional import cached_property

from mailboxes.db.queries import shared_cursor

# Of what a row holds, by the kind of database; each field would look at it for longer.
PASSTHROUGH_TYPES: dict[str, set[type]] = {
    "postgresql": {bool, datetime, NoneType, str, UUID},
    "sqlite": {bool, NoneType},
}


class HistoryWriter:
    """Writes rows of a model, each with its row of history, by statements that are written down once.

    The database copies to history what it has written: PostgreSQL within the same statement, which
    is a transaction of its own.
    """

    def __init__(self, model: type[models.Model], history: type[models.Model]):
        self.model, self.history = model, history

    def insert(self, row: models.Model, history: dict, using: str) -> None:
        """Write a new row, and a history row with these fields besides. Raises django.db.Error."""
        connection = connections[using]
        values = column_values(row, self.columns)
        query = insert_sql(self.model, tuple(values))
        self.run(row, query, prepare_values(self.model, values, connection), history, connection)

    def update(
        self, row: models.Model, history: dict, using: str, names: Iterable[str] = (), **as_read
    ) -> bool:
        """Write the fields of these names, or all, and a history row with these fields besides.

        Return False, and write nothing, if the row is gone or its fields are not `as_read`.
        Raises django.db.Error.
        """
        connection = connections[using]
        fields = get_fields(self.model, tuple(names)) or self.columns
        values = column_values(row, [field for field in fields if not field.primary_key])
        known_by = {self.key.attname: row.pk} | as_read
        query = update_sql(self.model, tuple(values), tuple(known_by))
        given = prepare_values(self.model, values, connection)
        given += prepare_values(self.model, known_by, connection)
        return self.run(row, query, given, history, connection)

    def run(self, row: models.Model, write: str, values: list, history: dict, connection) -> bool:
        using = connection.alias
        copy = history_copy_sql(self.model, self.history, tuple(history))
        copied = prepare_values(self.history, history, connection)
        if connection.vendor == "postgresql":
            with transaction.mark_for_rollback_on_error(using):
                cursor = shared_cursor(connection)
                cursor.execute(combined_sql(write, copy), values + copied)
                return cursor.rowcount == 1
        with transaction.atomic(using, savepoint=False), connection.cursor() as cursor:
            cursor.execute(write, values)
            if cursor.rowcount != 1:
                return False
            copied += prepare_values(self.model, {self.key.attname: row.pk}, connection)
            table, key = self.model._meta.db_table, self.key.column
            cursor.execute(f'{copy} FROM "{table}" WHERE "{key}" = %s', copied)
            return True

    @cached_property
    def columns(self) -> Sequence[models.Field]:
        return self.model._meta.concrete_fields

    @cached_property
    def key(self) -> models.Field:
        return self.model._meta.pk


def column_values(row: models.Model, fields: Iterable[models.Field]) -> dict:
    """What stands in the row for these fields, by their attributes' names."""
    return {field.attname: getattr(row, field.attname) for field in fields}


@cache
def get_fields(model: type[models.Model], names: tuple[str, ...]) -> list[models.Field]:
    """The model's fields that have these names, or whose attributes have."""
    return [cast(models.Field, model._meta.get_field(name)) for name in names]


def prepare_values(model: type[models.Model], values: dict, connection) -> list:
    """The values of these columns as the database takes them."""
    return [
        value if type(value) in taken else field.get_db_prep_save(value, connection)
        for value, (field, taken) in zip(
            values.values(), passthrough_types(model, tuple(values), connection.vendor), strict=True
        )
    ]


@cache
def passthrough_types(
    model: type[models.Model], names: tuple[str, ...], vendor: str
) -> list[tuple]:
    """The model's fields that have these names, each with the types that are taken as they are.

    Whole numbers are, but of a field that makes True of one.
    """
    taken = PASSTHROUGH_TYPES[vendor]
    return [
        (field, taken if isinstance(field, models.BooleanField) else taken | {int})
        for field in get_fields(model, names)
    ]


@cache
def insert_sql(model: type[models.Model], names: tuple[str, ...]) -> str:
    """Return the text of an INSERT of these columns."""
    columns, places = ", ".join(quote_columns(model, names)), ", ".join(["%s"] * len(names))
    return f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES ({places})'  # noqa: S608  names of our own


@cache
def update_sql(model: type[models.Model], names: tuple[str, ...], known_by: tuple[str, ...]) -> str:
    """Return the text of an UPDATE of these columns, where others have a value each."""
    set_to = ", ".join(f"{column} = %s" for column in quote_columns(model, names))
    where = " AND ".join(f"{column} = %s" for column in quote_columns(model, known_by))
    return f'UPDATE "{model._meta.db_table}" SET {set_to} WHERE {where}'  # noqa: S608  names of our own


@cache
def combined_sql(write: str, copy: str) -> str:
    """The text of a statement that writes a row, and what is copied of it."""
    return f"WITH written AS ({write} RETURNING *) {copy} FROM written"


@cache
def history_copy_sql(model, history, names: tuple[str, ...]) -> str:
    """Return the start of an INSERT of history rows: copies, with values for these names."""
    kept = [field.attname for field in history.tracked_fields]
    columns = ", ".join(quote_columns(history, [*kept, *names]))
    values = ", ".join([*quote_columns(model, kept), *["%s"] * len(names)])
    return f'INSERT INTO "{history._meta.db_table}" ({columns}) SELECT {values}'


def quote_columns(model: type[models.Model], names: Iterable[str]) -> list[str]:
    return [f'"{field.column}"' for field in get_fields(model, tuple(names))]
