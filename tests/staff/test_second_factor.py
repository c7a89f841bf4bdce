"""Keys of authenticator apps and recovery codes are encrypted in the database."""

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import call_command
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes.encryption import UnknownKeyError
from mailboxes.models import Authenticator, AuthenticatorKey, RecoveryCode
from mailboxes.staff import second_factor
from tests.authenticator import AuthenticatorApp, set_up_second_factor
from tests.databases import default_database
from tests.service import shows


def set_up_in_older_version(user):
    """Store a key and codes as versions without encryption did, and return both."""
    device = TOTPDevice.objects.create(user=user, name="Authenticator app")
    recovery = StaticDevice.objects.create(user=user, name="Recovery codes")
    codes = [StaticToken.random_token() for _ in range(10)]
    StaticToken.objects.bulk_create(StaticToken(device=recovery, token=code) for code in codes)
    return device.key, codes


def read_database() -> str:
    return str({model: list(model._base_manager.values()) for model in apps.get_models()})


@pytest.fixture
def rosa(db):
    return User.objects.create_user("rosa")


def test_key_and_codes_are_not_in_the_database_in_clear(rosa):
    _, codes = set_up_second_factor(rosa)
    device, text = Authenticator.objects.get(), read_database()
    for secret in (device.bin_key.hex(), second_factor.format_key(device), *codes):
        assert not shows(text, secret)


def test_secret_copied_to_another_user_cannot_be_decrypted(rosa):
    for user in (rosa, User.objects.create_user("hugo")):
        set_up_second_factor(user)
    mine, other = AuthenticatorKey.objects.order_by("pk")
    mine.key_sealed = other.key_sealed
    code = RecoveryCode.objects.exclude(device__user=rosa).first()
    code.device = StaticDevice.objects.get(user=rosa)
    for row in (mine, code):
        with pytest.raises(UnknownKeyError):
            row.decrypt()


def test_migrate_encrypts_secrets_of_an_older_version(databases):
    with default_database(databases.copy()):
        rosa = User.objects.get(username="rosa")
        key, codes = set_up_in_older_version(rosa)
        for _ in range(2):  # a second run changes nothing
            call_command("migrate", verbosity=0)
            text = read_database()
            for secret in (key, *codes):
                assert not shows(text, secret)
            assert Authenticator.objects.get().bin_key.hex() == key
            assert [row.decrypt() for row in RecoveryCode.objects.order_by("pk")] == codes


def test_migrate_that_was_stopped_is_completed_by_the_next(databases, monkeypatch):
    def fail(*args):
        raise KeyboardInterrupt

    with default_database(databases.copy()):
        key, codes = set_up_in_older_version(User.objects.get(username="rosa"))
        with monkeypatch.context() as patch:
            patch.setattr(StaticToken, "delete", fail)
            with pytest.raises(KeyboardInterrupt):
                call_command("migrate", verbosity=0)
        assert TOTPDevice.objects.get().key == key
        assert not RecoveryCode.objects.exists()
        call_command("migrate", verbosity=0)
        assert Authenticator.objects.get().bin_key.hex() == key
        assert RecoveryCode.objects.count() == len(codes)


def test_secrets_of_an_older_version_are_accepted_before_they_are_encrypted(rosa):
    """The older version may serve for a while after `migrate`."""
    _, codes = set_up_in_older_version(rosa)
    app = AuthenticatorApp(second_factor.format_key(Authenticator.objects.get()))
    assert second_factor.verify_code(rosa, app.code())
    assert second_factor.verify_code(rosa, codes[0])
    assert StaticToken.objects.count() == len(codes) - 1
