"""Prepared queries: compiled by the ORM once, and prepared by PostgreSQL.

Compiling a query takes the ORM longer than running it takes a database. A prepared query is a
queryset with a Param for each value that differs between runs.
"""

from collections.abc import Callable, Iterable

from django.db import connections, models
from django.db.models.base import ModelState
from django.db.models.expressions import RawSQL
from psycopg import adapters
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from mailboxes.db.connections import run_with_reconnect

# Drivers accept the values of these fields without conversion.
UNCONVERTED_FIELDS = (models.BigIntegerField, models.BooleanField, models.CharField)

# psycopg's own loader is several times as fast as Django's.
TIMESTAMP_LOADER = adapters.get_loader(adapters.types["timestamptz"].oid, Format.TEXT)


class BytesLoader(Loader):
    """Load PostgreSQL's text as UTF-8 bytes, without decoding it."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


BYTES_TYPE = "bpchar"  # a text type that no column has


class Param(models.Expression):
    """A placeholder for a value that each run of a PreparedQuery supplies."""

    def __init__(self, name: str, output_field: models.Field):
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, compiler, connection):
        return "%s", [self]

    def prepare_value(self, value, connection):
        if isinstance(self.output_field, UNCONVERTED_FIELDS):
            return value
        return self.output_field.get_db_prep_value(value, connection)


class PreparedQuery:
    """A prepared query, made from the `values_list` queryset that `build` returns.

    It is built at its first run, so that a module can define it before all models are loaded.
    """

    def __init__(self, build: Callable[[], models.QuerySet]):
        self.build = build
        self.compiled: dict[str, tuple] = {}  # by database vendor

    def rows(self, using: str = "default", **values) -> Iterable:
        """Return the rows for these values of the Params, by name. Raises django.db.Error."""
        connection = connections[using]
        return run_with_reconnect(connection, lambda: self.run(connection, values))

    def exists(self, using: str = "default", **values) -> RawSQL:
        """Return a condition for `filter`: this query has a row for these values."""
        sql, params, *_ = self.prepare(connections[using], values)
        return RawSQL(f"EXISTS ({sql})", params, models.BooleanField())  # noqa: S611  by the ORM

    def prepare(self, connection, values) -> tuple:
        """Return the SQL, its parameters, and the converters of its columns with their compiler."""
        if connection.vendor not in self.compiled:
            self.compiled[connection.vendor] = self.compile(connection.alias)
        sql, params, converters, compiler = self.compiled[connection.vendor]
        params = [
            param.prepare_value(values[param.name], connection)
            if isinstance(param, Param)
            else param
            for param in params
        ]
        return sql, params, converters, compiler

    def run(self, connection, values):
        sql, params, converters, compiler = self.prepare(connection, values)
        cursor = shared_cursor(connection)
        try:
            cursor.execute(sql, params)
            with connection.wrap_database_errors:  # faster than the fetchall of Django's cursor
                rows = cursor.cursor.fetchall()
        except Exception:
            cursor.close()  # on SQLite an open cursor would keep reading the old data
            connection.shared_cursor_cache = (None, None)
            raise
        return compiler.apply_converters(rows, converters) if converters else rows

    def compile(self, using):
        """Compile the query, with Params among its parameters."""
        compiler = self.build().query.get_compiler(using)
        sql, params = compiler.as_sql()
        columns = [expression for expression, _sql, _alias in compiler.select]
        return sql, params, compiler.get_converters(columns), compiler


def instance_from_row(
    model: type[models.Model], names: Iterable[str], values: Iterable, using: str
):
    """Return an instance with these columns' values, as Model.from_db does.

    `from_db` checks each field and sends two signals, which takes a tenth of an API call's time.
    """
    row = model.__new__(model)
    row.__dict__.update(zip(names, values, strict=True))
    row._state = ModelState()
    row._state.adding, row._state.db = False, using
    return row


def shared_cursor(connection):
    """Return the cursor that all prepared queries of a connection share.

    Creating a cursor takes half as long as running a query.
    """
    created_by, cursor = getattr(connection, "shared_cursor_cache", (None, None))
    if created_by is None or created_by is not connection.connection or connection.queries_logged:
        cursor = connection.cursor()
        if connection.vendor == "postgresql":
            cursor.adapters.register_loader("timestamptz", TIMESTAMP_LOADER)
            cursor.adapters.register_loader(BYTES_TYPE, BytesLoader)
        connection.shared_cursor_cache = (connection.connection, cursor)
    return cursor
