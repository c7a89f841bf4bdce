import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add how long an account keeps its messages."""

    dependencies = [("mailboxes", "0019_messages")]

    operations = [
        migrations.AddField(
            model_name="account",
            name="message_days",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Messages received longer ago are removed for good. 0: they are kept for ever. Empty: the days that are set for all accounts (MESSAGE_RETENTION_DAYS).",
                null=True,
                validators=[django.core.validators.MaxValueValidator(36500)],
                verbose_name="days that messages are kept",
            ),
        ),
        migrations.AddField(
            model_name="account",
            name="removes_unheard",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Otherwise messages that nobody has heard are kept until they are deleted.",
                verbose_name="unheard messages are removed too",
            ),
        ),
        migrations.AddField(
            model_name="historicalaccount",
            name="message_days",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Messages received longer ago are removed for good. 0: they are kept for ever. Empty: the days that are set for all accounts (MESSAGE_RETENTION_DAYS).",
                null=True,
                validators=[django.core.validators.MaxValueValidator(36500)],
                verbose_name="days that messages are kept",
            ),
        ),
        migrations.AddField(
            model_name="historicalaccount",
            name="removes_unheard",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Otherwise messages that nobody has heard are kept until they are deleted.",
                verbose_name="unheard messages are removed too",
            ),
        ),
    ]
