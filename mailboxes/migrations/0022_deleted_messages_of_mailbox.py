from django.db import migrations, models
from django.db.models import Q

from mailboxes.migrations._indexes import create_index


class Migration(migrations.Migration):
    """Index the deleted messages of a mailbox, for their list."""

    atomic = False

    dependencies = [("mailboxes", "0021_lists_of_messages")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [
                create_index(
                    "deleted_messages_of_mailbox",
                    "mailboxes_message",
                    ["mailbox_id", "received_at DESC", "uuid DESC"],
                    "deleted_at IS NOT NULL",
                )
            ],
            [
                migrations.AddIndex(
                    "message",
                    models.Index(
                        fields=["mailbox", "-received_at", "-uuid"],
                        condition=Q(deleted_at__isnull=False),
                        name="deleted_messages_of_mailbox",
                    ),
                )
            ],
        )
    ]
