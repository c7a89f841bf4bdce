from django.db import migrations

from mailboxes.models.searching import FoldedField


class Migration(migrations.Migration):
    """Add names without case and accents, for searches."""

    dependencies = [("mailboxes", "0016_more_history")]

    operations = [
        migrations.AddField(
            model, column, FoldedField(blank=True, db_default="", default="", editable=False)
        )
        for model, column in (("account", "folded_contact_name"), ("mailbox", "folded_name"))
    ]
