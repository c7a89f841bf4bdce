"""Validate the constraint for the existing rows, without blocking writers."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "9004_constraint")]
    operations = [ValidateConstraint("mailbox", "label_not_blank")]
