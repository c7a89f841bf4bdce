"""The second factor of staff: devices of django-otp, whose secrets are encrypted here."""

from django.apps import apps as global_apps
from django.db import connections, models, transaction
from django.utils.crypto import constant_time_compare
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes.models.encrypted import EncryptedRow

# In django-otp's column for the key. It is not hexadecimal, so that no code can match it.
ENCRYPTED = "encrypted"


class AuthenticatorKey(EncryptedRow, models.Model):
    """The key of an authenticator app, in hexadecimal."""

    ENCRYPTED_COLUMN = "key_sealed"

    device = models.OneToOneField(
        TOTPDevice, on_delete=models.CASCADE, primary_key=True, related_name="encrypted_key"
    )
    key_sealed = models.TextField()

    def __str__(self):
        return str(self.device)

    @property
    def owner(self) -> bytes:
        return f"authenticator:{self.device_id}".encode()


class RecoveryCode(EncryptedRow, models.Model):
    """A code that can be used once in place of the authenticator app."""

    ENCRYPTED_COLUMN = "code_sealed"

    device = models.ForeignKey(
        StaticDevice, on_delete=models.CASCADE, related_name="recovery_codes"
    )
    code_sealed = models.TextField()

    def __str__(self):
        return str(self.device)

    @property
    def owner(self) -> bytes:
        return f"recovery:{self.device_id}".encode()


class Authenticator(TOTPDevice):
    """A TOTPDevice with an encrypted key."""

    class Meta:
        proxy = True

    def encrypt_key(self, key: str) -> None:
        """Store the key, in hexadecimal. The device must be in the database."""
        row = AuthenticatorKey(device=self)
        row.encrypt(key)
        row.save(using=self._state.db)
        self.key = ENCRYPTED
        self.save(update_fields=["key"])

    @property
    def bin_key(self) -> bytes:
        """Return the key. Raises UnknownKeyError."""
        if self.key != ENCRYPTED:  # the version before wrote it, after `migrate`
            return super().bin_key
        return bytes.fromhex(self.encrypted_key.decrypt())


class RecoveryDevice(StaticDevice):
    """A StaticDevice with encrypted codes."""

    class Meta:
        proxy = True

    def add_code(self, code: str) -> None:
        row = RecoveryCode(device=self)
        row.encrypt(code)
        row.save(using=self._state.db)

    def verify_token(self, token) -> bool:
        """Return True if the code is one of these, and delete it. Raises UnknownKeyError."""
        allowed, _ = self.verify_is_allowed()
        codes = self.recovery_codes.all() if allowed else []
        match = next((row for row in codes if constant_time_compare(row.decrypt(), token)), None)
        if match is None:
            # It counts the failure, or finds a code that the version before wrote after `migrate`.
            return super().verify_token(token)
        match.delete()
        self.throttle_reset(commit=False)
        self.set_last_used_timestamp()
        return True


def encrypt_plain_secrets(using, apps=global_apps, **kwargs) -> None:
    """Encrypt the keys and codes that versions before this one stored. Runs after `migrate`."""
    try:
        apps.get_model("mailboxes", "AuthenticatorKey")
    except LookupError:  # `migrate` stopped at an older migration
        return
    with transaction.atomic(using):
        if connections[using].vendor == "sqlite":
            with connections[using].cursor() as cursor:
                cursor.execute("PRAGMA secure_delete=ON")  # leave no bytes of them in the file
        plain = Authenticator.objects.using(using).exclude(key=ENCRYPTED)
        for device in plain.select_for_update():
            device.encrypt_key(device.key)
        for device in RecoveryDevice.objects.using(using).select_for_update():
            for token in device.token_set.all():
                device.add_code(token.token)
                token.delete()
