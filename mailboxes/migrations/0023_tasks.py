from django.db import migrations, models

from mailboxes.migrations._indexes import create_index


class Migration(migrations.Migration):
    """Record which processes run tasks, and index the tasks that run or failed."""

    atomic = False

    dependencies = [
        ("django_tasks_database", "0021_conditional_partial_index_ordering"),
        ("mailboxes", "0022_deleted_messages_of_mailbox"),
    ]

    operations = [
        # The table is of another project, which indexes only the tasks that wait.
        create_index(
            "running_and_failed_tasks",
            "django_tasks_database_dbtaskresult",
            ["status", "finished_at"],
            "status IN ('RUNNING', 'FAILED')",
        ),
        migrations.AddField(
            model_name="serverprocess",
            name="runs_tasks",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
