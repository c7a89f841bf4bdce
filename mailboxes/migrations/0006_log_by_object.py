from django.db import migrations

INDEX = "admin_log_by_object"


def build(apps, schema_editor):
    """Index the admin's log by what its lines are about, others writing to it meanwhile."""
    remove(apps, schema_editor)  # one that was broken off is of no use
    schema_editor.execute(
        f"CREATE INDEX {concurrently(schema_editor)} {INDEX} ON django_admin_log (object_id)"
    )


def remove(apps, schema_editor):
    schema_editor.execute(f"DROP INDEX {concurrently(schema_editor)} IF EXISTS {INDEX}")


def concurrently(schema_editor):
    return "CONCURRENTLY" if schema_editor.connection.vendor == "postgresql" else ""


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("mailboxes", "0005_position_of_recipients"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]

    operations = [migrations.RunPython(build, remove)]
