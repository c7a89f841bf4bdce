import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

DELETES_MAILED = {
    "db_default": False,
    "default": False,
    "help_text": "A message is deleted when all recipients have its mail. It can be restored like any other.",
    "verbose_name": "messages are deleted once they are mailed",
}
SENDS_MAIL = {
    "db_default": False,
    "default": False,
    "help_text": "The engine mails messages to the recipients itself, as app_voicemail does. So this service sends no mail for the mailboxes that the engine can look up.",
    "verbose_name": "the engine sends the mails",
}


class Migration(migrations.Migration):
    """Add mails, and the settings of accounts and credentials that concern them."""

    dependencies = [("mailboxes", "0024_transcriptions")]

    operations = [
        migrations.CreateModel(
            name="MailDelivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("email", models.EmailField(max_length=254)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("sending", "Being sent"),
                            ("sent", "Sent"),
                            ("failed", "Failed"),
                            ("canceled", "Not sent"),
                        ],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("task", models.UUIDField(null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                (
                    "answer",
                    models.CharField(
                        blank=True, help_text="The mail server's last answer.", max_length=500
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("changed_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "mailbox",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="mailboxes.mailbox",
                    ),
                ),
                (
                    "message",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mail_deliveries",
                        to="mailboxes.message",
                    ),
                ),
            ],
            options={
                "verbose_name": "mail",
                "verbose_name_plural": "mails",
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        fields=["mailbox", "email", "-changed_at"], name="mails_of_recipient"
                    ),
                    models.Index(fields=["changed_at"], name="mails_by_change"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("message", "email"), name="one_mail_for_each_recipient"
                    )
                ],
            },
        ),
        *(
            migrations.AddField(model, "deletes_mailed", models.BooleanField(**DELETES_MAILED))
            for model in ("account", "historicalaccount")
        ),
        *(
            migrations.AddField(model, "sends_mail", models.BooleanField(**SENDS_MAIL))
            for model in ("apicredential", "historicalapicredential")
        ),
    ]
