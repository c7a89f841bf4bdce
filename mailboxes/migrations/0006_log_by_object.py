from django.db import migrations

from mailboxes.migrations._indexes import create_index


class Migration(migrations.Migration):
    """Index the admin's log by what its lines are about."""

    atomic = False

    dependencies = [
        ("mailboxes", "0005_position_of_recipients"),
        ("admin", "0003_logentry_add_action_flag_choices"),
    ]

    operations = [create_index("admin_log_by_object", "django_admin_log", ["object_id"])]
