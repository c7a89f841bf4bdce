"""Fill the column of every row, in batches with a transaction each."""

from django.db import migrations
from django.db.models.functions import Upper

ROWS = 500


def fill(apps, schema_editor):
    """Fill empty rows only, so that an interrupted run can be repeated."""
    empty = apps.get_model("mailboxes", "Mailbox").objects.filter(label=None).order_by("pk")
    batch = list(empty.values_list("pk", flat=True)[:ROWS])
    while batch:
        empty.filter(pk__in=batch).update(label=Upper("name"))
        batch = list(empty.filter(pk__gt=batch[-1]).values_list("pk", flat=True)[:ROWS])


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "9001_label")]
    atomic = False
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
