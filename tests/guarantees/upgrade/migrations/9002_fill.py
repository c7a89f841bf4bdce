"""A value for every row: some at a time, each time in a transaction of its own."""

from django.db import migrations
from django.db.models.functions import Upper

ROWS = 500


def fill(apps, schema_editor):
    """What was filled before is left, so it can be begun again."""
    empty = apps.get_model("mailboxes", "Mailbox").objects.filter(label=None).order_by("pk")
    some = list(empty.values_list("pk", flat=True)[:ROWS])
    while some:
        empty.filter(pk__in=some).update(label=Upper("name"))
        some = list(empty.filter(pk__gt=some[-1]).values_list("pk", flat=True)[:ROWS])


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "9001_label")]
    atomic = False
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
