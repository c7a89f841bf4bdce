from django.db import migrations, models
from django.db.models import Q

from mailboxes.migrations._indexes import create_index


class Migration(migrations.Migration):
    """Index the credentials of engines that send mails."""

    atomic = False

    dependencies = [("mailboxes", "0025_add_mail")]

    operations = [
        migrations.SeparateDatabaseAndState(
            [
                create_index(
                    "engines_that_send_mail",
                    "mailboxes_apicredential",
                    ["account_id"],
                    "sends_mail",
                )
            ],
            [
                migrations.AddIndex(
                    "apicredential",
                    models.Index(
                        fields=["account"],
                        condition=Q(sends_mail=True),
                        name="engines_that_send_mail",
                    ),
                )
            ],
        )
    ]
