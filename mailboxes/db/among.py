"""A lookup of many UUIDs with one parameter."""

import json

from django.db.models import Lookup, UUIDField


@UUIDField.register_lookup
class Among(Lookup):
    """`pk__among=uuids` is `pk__in=uuids` with one parameter: databases limit their number.

    PostgreSQL takes 65,535 of them in a query, and SQLite 32,766.
    """

    lookup_name = "among"
    prepare_rhs = False

    def as_sqlite(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        digits = json.dumps([uuid.hex for uuid in self.rhs])
        sql = f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608  a column's name
        return sql, [*params, digits]

    def as_postgresql(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*params, list(self.rhs)]
