from django.db import migrations, models

from mailboxes.migrations._indexes import create_index

NAME = "mailboxes_by_change"


class Migration(migrations.Migration):
    """Index an account's mailboxes by the number of their last change."""

    atomic = False

    dependencies = [("mailboxes", "0011_change_numbers")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [create_index(NAME, "mailboxes_mailbox", ["account_id", "change_number"])],
            [
                migrations.AddIndex(
                    "mailbox", models.Index(fields=["account", "change_number"], name=NAME)
                )
            ],
        )
    ]
