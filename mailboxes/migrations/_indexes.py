"""An operation that creates an index without blocking writers."""

from django.db import migrations


def create_index(name: str, table: str, columns: list[str]) -> migrations.RunPython:
    """Return an operation that indexes these columns. Its migration must set `atomic = False`."""

    def build(apps, schema_editor):
        remove(apps, schema_editor)  # an earlier try may have left an invalid index
        schema_editor.execute(
            f"CREATE INDEX {concurrently(schema_editor)} {name} ON {table} ({', '.join(columns)})"
        )

    def remove(apps, schema_editor):
        schema_editor.execute(f"DROP INDEX {concurrently(schema_editor)} IF EXISTS {name}")

    return migrations.RunPython(build, remove)


def concurrently(schema_editor) -> str:
    return "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""
