from django.db import migrations, models


class Migration(migrations.Migration):
    """Keep the times of the sentences of a transcription."""

    dependencies = [("mailboxes", "0023_tasks")]

    operations = [
        migrations.AddField("message", "segments_sealed", models.TextField(null=True)),
    ]
