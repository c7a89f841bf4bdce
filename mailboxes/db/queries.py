"""Queries compiled once: the ORM takes longer to write a query down than a database to answer it.

A statement is a queryset like any other, with names where the values stand that come with each
call. It is written down when it first runs, and PostgreSQL prepares it: from then on a call
sends the values and reads the rows.
"""

from collections.abc import Callable, Iterable

from django.db import connections, models
from django.db.models.base import ModelState
from psycopg import adapters
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from mailboxes.db.connections import run_with_reconnect

UNCONVERTED_FIELDS = (
    models.BigIntegerField,
    models.BooleanField,
    models.CharField,
)  # drivers know their values

# psycopg's own reader of moments: Django's, on top of it, is several times as slow.
TIMESTAMP_LOADER = adapters.get_loader(adapters.types["timestamptz"].oid, Format.TEXT)


class BytesLoader(Loader):
    """Leaves a text as the UTF-8 bytes that came."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


BYTES_TYPE = "bpchar"  # a type of text that no column of ours has


class Param(models.Expression):
    """In a query, a value of this kind of field that each run gives."""

    def __init__(self, name: str, output_field: models.Field):
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, compiler, connection):
        return "%s", [self]

    def value(self, value, connection):
        """As the database's driver takes it."""
        if isinstance(self.output_field, UNCONVERTED_FIELDS):
            return value
        return self.output_field.get_db_prep_value(value, connection)


class PreparedQuery:
    """The query that `build` returns, of `values_list`, to be run again and again.

    It is built when it first runs: it can be declared beside the models it asks for.
    """

    def __init__(self, build: Callable[[], models.QuerySet]):
        self.build = build
        self.written: dict[str, tuple] = {}  # by the kind of database

    def rows(self, using: str = "default", **given) -> Iterable:
        """The rows for these values. Raises django.db.Error, as any query does."""
        connection = connections[using]
        return run_with_reconnect(connection, lambda: self.run(connection, given))

    def run(self, connection, given):
        if connection.vendor not in self.written:
            self.written[connection.vendor] = self.write(connection.alias)
        sql, slots, converters, compiler = self.written[connection.vendor]
        values = [
            slot.value(given[slot.name], connection) if isinstance(slot, Param) else slot
            for slot in slots
        ]
        cursor = shared_cursor(connection)
        try:
            cursor.execute(sql, values)
            with connection.wrap_database_errors:  # as the cursor itself would, by a longer way
                rows = cursor.cursor.fetchall()
        except Exception:
            cursor.close()  # SQLite would go on reading, as of now
            connection.shared_cursor_cache = (None, None)
            raise
        return compiler.apply_converters(rows, converters) if converters else rows

    def write(self, using):
        """The query's text, what stands in its places, and what makes Python's values of a row's."""
        compiler = self.build().query.get_compiler(using)
        sql, slots = compiler.as_sql()
        columns = [expression for expression, _sql, _alias in compiler.select]
        return sql, slots, compiler.get_converters(columns), compiler


def instance_from_row(
    model: type[models.Model], names: Iterable[str], values: Iterable, using: str
):
    """Return an instance with these columns' values, as Model.from_db does.

    `from_db` looks at each field and sends two signals, which takes a tenth of an API call's time.
    """
    row = model.__new__(model)
    row.__dict__.update(zip(names, values, strict=True))
    row._state = ModelState()
    row._state.adding, row._state.db = False, using
    return row


def shared_cursor(connection):
    """Return the cursor that a connection's statements share.

    Making one takes half as long as running a statement.
    """
    made_by, cursor = getattr(connection, "shared_cursor_cache", (None, None))
    if made_by is None or made_by is not connection.connection or connection.queries_logged:
        cursor = connection.cursor()
        if connection.vendor == "postgresql":
            cursor.adapters.register_loader("timestamptz", TIMESTAMP_LOADER)
            cursor.adapters.register_loader(BYTES_TYPE, BytesLoader)
        connection.shared_cursor_cache = (connection.connection, cursor)
    return cursor
