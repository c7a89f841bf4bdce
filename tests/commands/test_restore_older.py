"""The `restore` command with backups of older versions."""

from zipfile import ZipFile

from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.migrations.executor import MigrationExecutor
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes.api.health import DataCheck
from mailboxes.models import Authenticator, Mailbox, RecoveryCode
from tests.commands.test_backup import contents
from tests.commands.test_restore import back_up, restore
from tests.databases import default_database, on_sqlite
from tests.service import shows

LATEST_OTP = "0003_add_timestamps"  # of each of django-otp's two kinds of devices


def create_older_database(databases, migration):
    """Return the URL of a database at this migration, and the models that it had then."""
    url = databases.empty()
    with default_database(url) as connection:
        for app in ("otp_totp", "otp_static"):
            call_command("migrate", app, verbosity=0)
        call_command("migrate", "mailboxes", migration, verbosity=0)
        target = [("mailboxes", migration), ("otp_totp", LATEST_OTP), ("otp_static", LATEST_OTP)]
        return url, MigrationExecutor(connection).loader.project_state(target).apps


def test_backup_of_an_older_version_can_be_migrated(databases, tmp_path, capsys):
    url, models = create_older_database(databases, "0002_staff")
    with default_database(url):
        account = models.get_model("mailboxes", "Account").objects.create(name="acme")
        models.get_model("mailboxes", "Mailbox").objects.create(account=account, name="Sales")
    older = back_up(url, tmp_path / "mailboxes.backup")
    newer = databases.copy()
    restore(newer, older, "--replace")
    assert capsys.readouterr().out.endswith("run manage.py migrate now.\n")
    with default_database(newer):
        call_command("migrate", verbosity=0)
        assert DataCheck().find_failure() is None
        assert Mailbox.objects.get().name == "Sales"


def test_second_factors_of_an_older_versions_backup_are_encrypted(databases, tmp_path):
    url, models = create_older_database(databases, "0009_help_texts")
    with default_database(url):
        user = models.get_model("auth", "User").objects.create(username="rosa")
        device = models.get_model("otp_totp", "TOTPDevice").objects.create(user=user, name="App")
        recovery = models.get_model("otp_static", "StaticDevice").objects.create(user=user)
        recovery.token_set.create(token="ikmt2qf4")
    backup = back_up(url, tmp_path / "mailboxes.backup")
    assert shows(contents(backup, tmp_path), device.key)
    other_url = databases.empty()
    restore(other_url, backup)
    with default_database(other_url):
        call_command("migrate", verbosity=0)
        assert Authenticator.objects.get().bin_key.hex() == device.key
        assert RecoveryCode.objects.get().decrypt() == "ikmt2qf4"
    text = contents(back_up(other_url, backup), tmp_path)
    assert not shows(text, device.key)
    assert not shows(text, "ikmt2qf4")


@on_sqlite
def test_encrypted_second_factor_leaves_no_bytes_in_the_file(databases, tmp_path):
    """Some builds of SQLite keep the bytes of changed and deleted rows."""
    url = databases.copy()
    with default_database(url) as connection:
        connection.cursor().execute("PRAGMA secure_delete=OFF")
        device = TOTPDevice.objects.create(user=User.objects.get(), name="App")
        recovery = StaticDevice.objects.create(user=User.objects.get(), name="Codes")
        recovery.token_set.create(token="ikmt2qf4")
        call_command("migrate", verbosity=0)
    backup = back_up(url, tmp_path / "mailboxes.backup")
    file = ZipFile(backup).read("database.sqlite3")
    assert (device.key.encode() in file, b"ikmt2qf4" in file) == (False, False)
