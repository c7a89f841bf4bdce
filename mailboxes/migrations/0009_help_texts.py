import django.core.validators
import django.db.models.deletion
import mailboxes.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """Change help texts only: no table changes."""

    dependencies = [
        ('mailboxes', '0008_server_processes'),
    ]

    operations = [
        migrations.AlterField('account', 'is_active', models.BooleanField(default=True, help_text='If an account is suspended, its credentials are refused and its mailboxes take no calls. Its customers are not affected.', verbose_name='active')),
        migrations.AlterField('account', 'name', models.CharField(help_text='The name that programs send in X-Auth-Reseller, or in X-Auth-For to act for a customer. 3 to 64 of a-z 0-9 - _ .', max_length=64, unique=True, validators=[django.core.validators.RegexValidator('\\A[a-z0-9._-]{3,64}\\Z', 'Use 3 to 64 lower-case letters, digits, hyphens, underscores or dots.')], verbose_name='name')),
        migrations.AlterField('apicredential', 'account', models.ForeignKey(blank=True, help_text='The account whose mailboxes it gives access to. Empty: all accounts, for an engine only.', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='credentials', to='mailboxes.account')),
        migrations.AlterField('apicredential', 'expires_at', models.DateTimeField(blank=True, help_text='The time, in UTC, when it expires. Empty: never.', null=True)),
        migrations.AlterField('apicredential', 'is_engine', models.BooleanField(default=False, help_text='Asterisk or FreeSWITCH uses it to look up the mailboxes of the account and its customers. The API does not accept it.', verbose_name='for a telephone engine')),
        migrations.AlterField('apicredential', 'name', models.CharField(help_text='The name that a program sends in X-Auth-User, or an engine as its user.', max_length=64, validators=[django.core.validators.RegexValidator('\\A[A-Za-z0-9._@+-]{1,64}\\Z', 'Use 1 to 64 letters, digits or any of . _ @ + - (no spaces).')], verbose_name='name')),
        migrations.AlterField('apicredential', 'networks', models.TextField(blank=True, help_text='Networks that it may be used from, separated by commas. Empty: all networks.', validators=[mailboxes.validators.validate_networks], verbose_name='networks')),
        migrations.AlterField('batch', 'count', models.PositiveIntegerField(default=0, help_text='The number of changed mailboxes.')),
        migrations.AlterField('batch', 'name', models.CharField(help_text="The mailbox's name, if only one was changed.", max_length=100)),
        migrations.AlterField('importrow', 'version', models.PositiveIntegerField(help_text="The mailbox's version when the row was checked.", null=True)),
    ]
