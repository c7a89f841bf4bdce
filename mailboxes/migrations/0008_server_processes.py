import uuid

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    """Add a table of the server's processes, each with the key that it encrypts with."""

    dependencies = [("mailboxes", "0007_recipients_in_order")]

    operations = [
        migrations.CreateModel(
            name="ServerProcess",
            fields=[
                (
                    "uuid",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("host", models.CharField(max_length=255)),
                ("pid", models.PositiveIntegerField()),
                ("key", models.CharField(max_length=8)),
                ("started_at", models.DateTimeField(db_default=Now())),
                ("seen_at", models.DateTimeField(db_default=Now())),
            ],
            options={"ordering": ["host", "started_at", "pid"]},
        ),
    ]
