from django.db import migrations, models


class Migration(migrations.Migration):
    """Store while an event is being sent to a webhook, and if its receiver is slow."""

    dependencies = [("mailboxes", "0029_unannounced_mailboxes")]

    operations = [
        migrations.AddField(
            "webhookendpoint",
            "is_slow",
            models.BooleanField(
                default=False, db_default=False, editable=False, help_text="Of the last answer."
            ),
        ),
        migrations.AddField(
            "webhookendpoint",
            "sending_until",
            models.DateTimeField(null=True, editable=False),
        ),
    ]
