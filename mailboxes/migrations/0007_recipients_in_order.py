from django.db import migrations, models

NAME = "recipients_in_order"
COLUMNS = ["mailbox_id", "position", "created_at", "uuid", "updated_at"]


def build(apps, schema_editor):
    """Index all that a list shows of recipients, in its order, others writing to them meanwhile."""
    remove(apps, schema_editor)  # one that was broken off is of no use
    schema_editor.execute(
        f"CREATE INDEX {concurrently(schema_editor)} {NAME} "
        f"ON mailboxes_emailrecipient ({', '.join(COLUMNS)})"
    )


def remove(apps, schema_editor):
    schema_editor.execute(f"DROP INDEX {concurrently(schema_editor)} IF EXISTS {NAME}")


def concurrently(schema_editor):
    return "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("mailboxes", "0006_log_by_object")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunPython(build, remove)],
            [
                migrations.AddIndex(
                    "emailrecipient",
                    models.Index(
                        fields=["mailbox", "position", "created_at", "uuid", "updated_at"],
                        name=NAME,
                    ),
                )
            ],
        )
    ]
