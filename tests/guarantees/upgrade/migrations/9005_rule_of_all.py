"""The same rule, for the rows that were there: read through without keeping writers waiting."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "9004_rule")]
    operations = [ValidateConstraint("mailbox", "label_not_blank")]
