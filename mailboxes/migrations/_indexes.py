"""What migrations that index a table have in common."""

from django.db import migrations


def index(name: str, table: str, columns: list[str]) -> migrations.RunPython:
    """Index these columns of a table, others writing to it meanwhile. Its migration is not atomic."""

    def build(apps, schema_editor):
        remove(apps, schema_editor)  # one that was broken off is of no use
        schema_editor.execute(
            f"CREATE INDEX {concurrently(schema_editor)} {name} ON {table} ({', '.join(columns)})"
        )

    def remove(apps, schema_editor):
        schema_editor.execute(f"DROP INDEX {concurrently(schema_editor)} IF EXISTS {name}")

    return migrations.RunPython(build, remove)


def concurrently(schema_editor) -> str:
    return "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""
