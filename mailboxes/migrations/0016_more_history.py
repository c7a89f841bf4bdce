import django.core.serializers.json
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add the effects of each change by staff."""

    dependencies = [
        ("mailboxes", "0015_account_of_import_row"),
    ]

    operations = [
        migrations.AddField(
            model_name="batch",
            name="accounts",
            field=models.JSONField(
                help_text="Names of the changed mailboxes' accounts.", null=True
            ),
        ),
        migrations.AddField(
            model_name="batch",
            name="effects",
            field=models.JSONField(
                encoder=django.core.serializers.json.DjangoJSONEncoder,
                help_text="By field: its new value in a list, which is empty if there were several.",
                null=True,
            ),
        ),
    ]
