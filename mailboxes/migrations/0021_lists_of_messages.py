from django.db import migrations, models
from django.db.models import Q

from mailboxes.migrations._indexes import create_index

TABLE = "mailboxes_message"
BY_TIME = ["received_at DESC", "uuid DESC"]


class Migration(migrations.Migration):
    """Index the messages of all mailboxes by time, for lists and searches by staff."""

    atomic = False

    dependencies = [("mailboxes", "0020_message_retention")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [
                create_index(
                    "messages_by_time",
                    TABLE,
                    [*BY_TIME, "caller_id_name", "caller_id_number", "mailbox_id"],
                    "deleted_at IS NULL",
                ),
                create_index(
                    "unheard_messages_by_time",
                    TABLE,
                    BY_TIME,
                    "deleted_at IS NULL AND heard_at IS NULL",
                ),
            ],
            [
                migrations.AddIndex(
                    "message",
                    models.Index(
                        fields=[
                            "-received_at",
                            "-uuid",
                            "caller_id_name",
                            "caller_id_number",
                            "mailbox",
                        ],
                        condition=Q(deleted_at=None),
                        name="messages_by_time",
                    ),
                ),
                migrations.AddIndex(
                    "message",
                    models.Index(
                        fields=["-received_at", "-uuid"],
                        condition=Q(deleted_at=None, heard_at=None),
                        name="unheard_messages_by_time",
                    ),
                ),
            ],
        ),
        migrations.AlterModelOptions(
            "message",
            {
                "ordering": ["-received_at", "-uuid"],
                "permissions": [("listen_to_message", "Can listen to and read messages")],
                "default_permissions": ["view", "change", "delete"],
                "verbose_name": "message",
                "verbose_name_plural": "messages",
            },
        ),
    ]
