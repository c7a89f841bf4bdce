import django.db.models.deletion
from django.db import migrations, models

import mailboxes.models.encrypted


class Migration(migrations.Migration):
    """Add tables for encrypted keys and recovery codes; a receiver of post_migrate fills them."""

    dependencies = [
        ("mailboxes", "0009_help_texts"),
        ("otp_static", "0003_add_timestamps"),
        ("otp_totp", "0003_add_timestamps"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuthenticatorKey",
            fields=[
                (
                    "device",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="encrypted_key",
                        serialize=False,
                        to="otp_totp.totpdevice",
                    ),
                ),
                ("key_sealed", models.TextField()),
            ],
            bases=(mailboxes.models.encrypted.EncryptedRow, models.Model),
        ),
        migrations.CreateModel(
            name="RecoveryCode",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code_sealed", models.TextField()),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="recovery_codes",
                        to="otp_static.staticdevice",
                    ),
                ),
            ],
            bases=(mailboxes.models.encrypted.EncryptedRow, models.Model),
        ),
        migrations.CreateModel(
            name="Authenticator",
            fields=[],
            options={"proxy": True, "indexes": [], "constraints": []},
            bases=("otp_totp.totpdevice",),
        ),
        migrations.CreateModel(
            name="RecoveryDevice",
            fields=[],
            options={"proxy": True, "indexes": [], "constraints": []},
            bases=("otp_static.staticdevice",),
        ),
    ]
