"""Write a row and its history row with one prepared query."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from types import NoneType
from typing import cast
from uuid import UUID

from django.db import connections, models, transaction
from django.utils.functional import cached_property

from mailboxes.db.queries import shared_cursor

# Values of these types need no conversion, by database. A field's own conversion takes longer.
UNCONVERTED_TYPES: dict[str, set[type]] = {
    "postgresql": {bool, datetime, NoneType, str, UUID},
    "sqlite": {bool, NoneType},
}


class HistoryWriter:
    """Writes rows of a model and their history rows with cached queries.

    The database copies the written row to history: PostgreSQL in the same query, SQLite in the same
    transaction.
    """

    def __init__(self, model: type[models.Model], history: type[models.Model], parent: str):
        """Write rows that never move from one `parent` to another: the name of a foreign key."""
        self.model, self.history, self.parent = model, history, parent

    def insert(self, row: models.Model, history: dict, using: str) -> None:
        """Insert the row, and a history row with the `history` fields. Raises django.db.Error."""
        connection = connections[using]
        values = column_values(row, self.columns)
        query = insert_sql(self.model, tuple(values))
        self.run(row, query, prepare_values(self.model, values, connection), history, connection)

    def update(
        self, row: models.Model, history: dict, using: str, names: Iterable[str] = (), **expected
    ) -> bool:
        """Update the named fields, or all, and insert a history row with the `history` fields.

        Return False, and write nothing, if the row is gone, differs from the `expected` values, or
        belongs to another parent. Raises django.db.Error.
        """
        connection = connections[using]
        fields = get_fields(self.model, tuple(names)) or self.columns
        values = column_values(row, [field for field in fields if not field.primary_key])
        # A row that moved would show its history to its new account.
        parent = column_values(row, get_fields(self.model, (self.parent,)))
        conditions = {self.key.attname: row.pk} | parent | expected
        query = update_sql(self.model, tuple(values), tuple(conditions))
        params = prepare_values(self.model, values, connection)
        params += prepare_values(self.model, conditions, connection)
        return self.run(row, query, params, history, connection)

    def run(self, row: models.Model, write: str, params: list, history: dict, connection) -> bool:
        using = connection.alias
        copy = history_copy_sql(self.model, self.history, tuple(history))
        copy_params = prepare_values(self.history, history, connection)
        if connection.vendor == "postgresql":
            with transaction.mark_for_rollback_on_error(using):
                cursor = shared_cursor(connection)
                cursor.execute(combined_sql(write, copy), params + copy_params)
                return cursor.rowcount == 1
        with transaction.atomic(using, savepoint=False), connection.cursor() as cursor:
            cursor.execute(write, params)
            if cursor.rowcount != 1:
                return False
            copy_params += prepare_values(self.model, {self.key.attname: row.pk}, connection)
            table, key = self.model._meta.db_table, self.key.column
            cursor.execute(f'{copy} FROM "{table}" WHERE "{key}" = %s', copy_params)
            return True

    @cached_property
    def columns(self) -> Sequence[models.Field]:
        return self.model._meta.concrete_fields

    @cached_property
    def key(self) -> models.Field:
        return self.model._meta.pk


def column_values(row: models.Model, fields: Iterable[models.Field]) -> dict:
    """Return the row's values by attribute name, such as `account_id`, as Model.save does."""
    return {field.attname: field.pre_save(row, add=False) for field in fields}


@cache
def get_fields(model: type[models.Model], names: tuple[str, ...]) -> list[models.Field]:
    return [cast(models.Field, model._meta.get_field(name)) for name in names]


def prepare_values(model: type[models.Model], values: dict, connection) -> list:
    return [
        value if type(value) in unconverted else field.get_db_prep_save(value, connection)
        for value, (field, unconverted) in zip(
            values.values(), unconverted_types(model, tuple(values), connection.vendor), strict=True
        )
    ]


@cache
def unconverted_types(
    model: type[models.Model], names: tuple[str, ...], vendor: str
) -> list[tuple]:
    """Return each field with the Python types that the driver stores without conversion.

    Integers are among them, except for boolean fields, which convert 1 to True.
    """
    types = UNCONVERTED_TYPES[vendor]
    return [
        (field, types if isinstance(field, models.BooleanField) else types | {int})
        for field in get_fields(model, names)
    ]


@cache
def insert_sql(model: type[models.Model], names: tuple[str, ...]) -> str:
    columns, places = ", ".join(quote_columns(model, names)), ", ".join(["%s"] * len(names))
    return f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES ({places})'  # noqa: S608  only names of columns


@cache
def update_sql(
    model: type[models.Model], names: tuple[str, ...], conditions: tuple[str, ...]
) -> str:
    set_to = ", ".join(f"{column} = %s" for column in quote_columns(model, names))
    where = " AND ".join(f"{column} = %s" for column in quote_columns(model, conditions))
    return f'UPDATE "{model._meta.db_table}" SET {set_to} WHERE {where}'  # noqa: S608  only names of columns


@cache
def combined_sql(write: str, copy: str) -> str:
    """Return a query that writes a row and copies it to history."""
    return f"WITH written AS ({write} RETURNING *) {copy} FROM written"


@cache
def history_copy_sql(model, history, names: tuple[str, ...]) -> str:
    """Return an INSERT of a copied row and these extra fields, without its FROM clause."""
    copied = [field.attname for field in history.tracked_fields]
    columns = ", ".join(quote_columns(history, [*copied, *names]))
    values = ", ".join([*quote_columns(model, copied), *["%s"] * len(names)])
    return f'INSERT INTO "{history._meta.db_table}" ({columns}) SELECT {values}'


def quote_columns(model: type[models.Model], names: Iterable[str]) -> list[str]:
    return [f'"{field.column}"' for field in get_fields(model, tuple(names))]
