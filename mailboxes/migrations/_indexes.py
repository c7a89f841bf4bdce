"""An operation that creates an index without blocking writers."""

from django.db import migrations


def create_index(
    name: str, table: str, columns: list[str], condition: str = ""
) -> migrations.RunPython:
    """Return an operation that indexes these columns. Its migration must set `atomic = False`.

    The condition, in SQL, is that of the rows to index.
    """
    where = f" WHERE {condition}" if condition else ""

    def build(apps, schema_editor):
        remove(apps, schema_editor)  # an earlier try may have left an invalid index
        how = concurrently(schema_editor, table)
        schema_editor.execute(f"CREATE INDEX {how} {name} ON {table} ({', '.join(columns)}){where}")

    def remove(apps, schema_editor):
        schema_editor.execute(f"DROP INDEX {concurrently(schema_editor, table)} IF EXISTS {name}")

    return migrations.RunPython(build, remove)


def concurrently(schema_editor, table) -> str:
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)", [table])
        # PostgreSQL cannot do it for a partitioned table (docs/scaling/partitions.sql).
        return "" if cursor.fetchone() == ("p",) else "CONCURRENTLY"
