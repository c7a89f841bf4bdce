from django.db import migrations, models
from django.db.models import F, Q

from mailboxes.migrations._indexes import create_index


class Migration(migrations.Migration):
    """Index the mailboxes with changes that no webhook got, by account and time."""

    atomic = False

    dependencies = [("mailboxes", "0028_message_history")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [
                create_index(
                    "unannounced_mailboxes",
                    "mailboxes_mailbox",
                    ["account_id", "updated_at"],
                    "announced_version < version",
                ),
            ],
            [
                migrations.AddIndex(
                    "mailbox",
                    models.Index(
                        fields=["account", "updated_at"],
                        condition=Q(announced_version__lt=F("version")),
                        name="unannounced_mailboxes",
                    ),
                ),
            ],
        ),
    ]
