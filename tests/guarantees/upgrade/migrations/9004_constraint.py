"""Add a constraint that only new rows must satisfy."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("mailboxes", "9003_index")]
    operations = [
        AddConstraintNotValid(
            "mailbox", models.CheckConstraint(condition=~Q(label=""), name="label_not_blank")
        ),
    ]
