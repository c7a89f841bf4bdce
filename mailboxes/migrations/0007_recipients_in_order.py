from django.db import migrations, models

from mailboxes.migrations._indexes import create_index

NAME = "recipients_in_order"
REST = ["position", "created_at", "uuid", "updated_at"]


class Migration(migrations.Migration):
    """Index all that a list shows of recipients, in its order."""

    atomic = False

    dependencies = [("mailboxes", "0006_log_by_object")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [create_index(NAME, "mailboxes_emailrecipient", ["mailbox_id", *REST])],
            [
                migrations.AddIndex(
                    "emailrecipient", models.Index(fields=["mailbox", *REST], name=NAME)
                )
            ],
        )
    ]
