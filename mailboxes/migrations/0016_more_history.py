import django.core.serializers.json
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import mailboxes.validators
import simple_history.models
from django.conf import settings
from django.db import migrations, models


def start_histories(table, columns):
    """Return an operation that adds a history row of the type `=` for each present row."""
    return migrations.RunSQL(
        f"INSERT INTO mailboxes_historical{table} ({columns}, history_date, history_type) "  # noqa: S608
        f"SELECT {columns}, CURRENT_TIMESTAMP, '=' FROM mailboxes_{table}",
        migrations.RunSQL.noop,
    )


class Migration(migrations.Migration):
    """Add a history of accounts and credentials, and the effects of each change by staff."""

    dependencies = [
        ("mailboxes", "0015_account_of_import_row"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
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
        migrations.CreateModel(
            name="HistoricalAccount",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        db_index=True,
                        help_text="The name that programs send in X-Auth-Reseller, or in X-Auth-For to act for a customer. 3 to 64 of a-z 0-9 - _ .",
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[a-z0-9._-]{3,64}\\Z",
                                "Use 3 to 64 lower-case letters, digits, hyphens, underscores or dots.",
                            )
                        ],
                        verbose_name="name",
                    ),
                ),
                (
                    "contact_name",
                    models.CharField(
                        blank=True,
                        max_length=100,
                        validators=[mailboxes.validators.validate_printable],
                        verbose_name="contact name",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="If an account is suspended, its credentials are refused and its mailboxes take no calls. Its customers are not affected.",
                        verbose_name="active",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "reseller",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="The account that this one is a customer of, if any.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="mailboxes.account",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical account",
                "verbose_name_plural": "historical accounts",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="HistoricalApiCredential",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        auto_created=True, blank=True, db_index=True, verbose_name="ID"
                    ),
                ),
                (
                    "is_engine",
                    models.BooleanField(
                        default=False,
                        help_text="Asterisk or FreeSWITCH uses it to look up the mailboxes of the account and its customers. The API does not accept it.",
                        verbose_name="for a telephone engine",
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="The name that a program sends in X-Auth-User, or an engine as its user.",
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[A-Za-z0-9._@+-]{1,64}\\Z",
                                "Use 1 to 64 letters, digits or any of . _ @ + - (no spaces).",
                            )
                        ],
                        verbose_name="name",
                    ),
                ),
                ("prefix", models.CharField(editable=False, max_length=16)),
                (
                    "networks",
                    models.TextField(
                        blank=True,
                        help_text="Networks that it may be used from, separated by commas. Empty: all networks.",
                        validators=[mailboxes.validators.validate_networks],
                        verbose_name="networks",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "expires_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="The time, in UTC, when it expires. Empty: never.",
                        null=True,
                    ),
                ),
                ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "history_id",
                    models.BigAutoField(editable=False, primary_key=True, serialize=False),
                ),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(
                        choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="The account whose mailboxes it gives access to. Empty: all accounts, for an engine only.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="mailboxes.account",
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "historical API credential",
                "verbose_name_plural": "historical API credentials",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        start_histories("account", "id, name, contact_name, is_active, created_at, reseller_id"),
        start_histories(
            "apicredential",
            "id, is_engine, name, prefix, networks, created_at, expires_at, revoked_at, account_id",
        ),
    ]
