"""The suite's own database after a test that committed to it: as migrations left it."""

from django.db import connection, transaction


class Emptying:
    """Takes out what a test has put in, and puts back what it took from the rows that migrations made.

    Django's flush makes those rows anew, for each of the tables in a transaction of its own: a
    hundred times as much work.
    """

    def __init__(self):
        """Look at the rows that migrations made: the tables must hold no others yet."""
        tables = connection.introspection.django_table_names(include_views=False)
        with connection.cursor() as cursor:
            self.made = {table: held(cursor, table) for table in sorted(tables)}

    @transaction.atomic
    def __call__(self):
        with connection.cursor() as cursor:
            for table, rows in self.made.items():
                if not rows:
                    cursor.execute(f"DELETE FROM {quoted(table)}")
                elif held(cursor, table) != rows:
                    cursor.execute(f"DELETE FROM {quoted(table)}")
                    places = ", ".join(["%s"] * len(rows[0]))
                    cursor.executemany(f"INSERT INTO {quoted(table)} VALUES ({places})", rows)


def held(cursor, table) -> list:
    """The table's rows, in the order of their first column, the key."""
    cursor.execute(f"SELECT * FROM {quoted(table)} ORDER BY 1")
    return cursor.fetchall()


def quoted(table) -> str:
    return connection.ops.quote_name(table)
