from django.db import migrations, models


class Migration(migrations.Migration):
    """Store the account of a new mailbox with the row of an import, to count the rows."""

    dependencies = [("mailboxes", "0014_fill_order_of_changes")]

    operations = [
        migrations.AddField(
            "importrow",
            "account_key",
            models.BigIntegerField(help_text="The account of a new mailbox.", null=True),
        ),
    ]
