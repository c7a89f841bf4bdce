from django.conf import settings
from django.db import migrations, models

ORDER = {"ordering": ["-history_id"], "get_latest_by": "history_id"}


class Migration(migrations.Migration):
    """Add what orders changes without a clock: versions and numbers."""

    dependencies = [
        ("mailboxes", "0012_index_of_changes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            "batch", {"ordering": ["-number", "-made_at"], "verbose_name_plural": "batches"}
        ),
        *(
            migrations.AlterModelOptions(
                f"historical{name.replace(' ', '')}",
                ORDER
                | {
                    "verbose_name": f"historical {name}",
                    "verbose_name_plural": f"historical {plural}",
                },
            )
            for name, plural in (
                ("email recipient", "email recipients"),
                ("mailbox", "mailboxes"),
            )
        ),
        migrations.AddField(
            "batch",
            "number",
            models.PositiveBigIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            "historicalemailrecipient",
            "version",
            models.PositiveIntegerField(
                db_default=0, default=0, help_text="The mailbox's version after the change."
            ),
        ),
    ]
