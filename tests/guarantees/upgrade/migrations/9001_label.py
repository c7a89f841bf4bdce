"""Add columns to large tables: one that may be NULL, and one with a database default."""

from django.db import migrations, models

from tests.guarantees.upgrade.migrations import LATEST


class Migration(migrations.Migration):
    dependencies = [("mailboxes", LATEST)]
    operations = [
        migrations.AddField("mailbox", "label", models.CharField(max_length=100, null=True)),
        migrations.AddField("mailbox", "is_shared", models.BooleanField(db_default=False)),
        migrations.AddField(
            "historicalmailbox", "is_shared", models.BooleanField(db_default=False)
        ),
    ]
