import uuid

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add numbers of changes, and the last one of each account."""

    dependencies = [("mailboxes", "0010_second_factor")]

    operations = [
        migrations.AddField(
            "mailbox", "change_number", models.BigIntegerField(editable=False, null=True)
        ),
        migrations.CreateModel(
            "ChangeFeed",
            [
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="change_feed",
                        serialize=False,
                        to="mailboxes.account",
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False)),
                ("last", models.BigIntegerField()),
                ("removed", models.BigIntegerField(default=0)),
            ],
        ),
    ]
