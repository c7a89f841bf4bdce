from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the upper bound of an account's mailboxes, which is unknown at first."""

    dependencies = [("mailboxes", "0012b_fill_order_of_changes")]

    operations = [
        migrations.AddField(
            "account",
            "mailboxes_at_most",
            models.PositiveIntegerField(
                editable=False,
                help_text="An upper bound of the number of active mailboxes. Null: count them.",
                null=True,
            ),
        ),
        migrations.AddField(
            "importrow",
            "account_key",
            models.BigIntegerField(help_text="The account of a new mailbox.", null=True),
        ),
    ]
