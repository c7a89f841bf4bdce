from django.db import migrations, models
from django.db.models import Q

from mailboxes.migrations._indexes import create_index


class Migration(migrations.Migration):
    """Index the mailboxes by their greeting."""

    atomic = False

    dependencies = [("mailboxes", "0031_sounds")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [
                create_index(
                    "mailboxes_by_greeting",
                    "mailboxes_mailbox",
                    ["greeting"],
                    "deleted_at IS NULL AND greeting IS NOT NULL",
                ),
            ],
            [
                migrations.AddIndex(
                    "mailbox",
                    models.Index(
                        fields=["greeting"],
                        condition=Q(deleted_at=None, greeting__isnull=False),
                        name="mailboxes_by_greeting",
                    ),
                ),
            ],
        ),
    ]
