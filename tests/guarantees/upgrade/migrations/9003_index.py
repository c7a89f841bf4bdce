"""Add an index to a table during writes."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "9002_fill")]
    atomic = False
    operations = [
        AddIndexConcurrently("mailbox", models.Index(fields=["label"], name="by_label")),
    ]
