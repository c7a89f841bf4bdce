"""The second factor of staff: an authenticator app, and recovery codes in case it is lost."""

from base64 import b32encode
from contextlib import suppress
from math import ceil

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.timesince import timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import default_key

from mailboxes.encryption import UnknownKeyError
from mailboxes.models.second_factor import Authenticator, RecoveryCode, RecoveryDevice

CODE_DIGITS = 6  # of an authenticator's code; a recovery code is longer
RECOVERY_CODES = 10


def is_enabled(user) -> bool:
    return Authenticator.objects.devices_for_user(user, confirmed=True).exists()


def needs_code(user) -> bool:
    """Return True if the user has a second factor, but has given only the password."""
    return user.is_authenticated and not user.is_verified() and is_enabled(user)


@transaction.atomic
def start_set_up(user) -> Authenticator:
    """Create an unconfirmed authenticator, in place of an earlier unconfirmed one."""
    Authenticator.objects.devices_for_user(user, confirmed=False).delete()
    device = Authenticator.objects.create(user=user, name="Authenticator app", confirmed=False)
    device.encrypt_key(default_key())
    return device


def get_unconfirmed(user) -> Authenticator | None:
    """Return the authenticator to confirm, unless its key cannot be decrypted."""
    device = Authenticator.objects.devices_for_user(user, confirmed=False).first()
    with suppress(UnknownKeyError):
        return device if device and device.bin_key else None
    return None


def format_key(authenticator) -> str:
    """Return the authenticator's key in base32, which can be typed into an app."""
    return b32encode(authenticator.bin_key).decode()


def confirm_authenticator(user, code) -> Authenticator:
    """Enable the unconfirmed authenticator if it generated the code. Raises ValidationError."""
    authenticator = accept_code(Authenticator.objects.devices_for_user(user, confirmed=False), code)
    authenticator.confirmed = True
    authenticator.save(update_fields=["confirmed"])
    return authenticator


def verify_code(user, code) -> Device:
    """Check a code, and return its device: app or recovery codes. Raises ValidationError."""
    is_authenticator_code = len(code) == CODE_DIGITS and code.isdigit()
    model = Authenticator if is_authenticator_code else RecoveryDevice
    return accept_code(model.objects.devices_for_user(user, confirmed=True), code)


def create_recovery_codes(user) -> list[str]:
    """Replace the user's recovery codes. Each code can be used once."""
    with transaction.atomic():
        # Keep the device: sessions that one of its codes verified refer to it.
        device = RecoveryDevice.objects.devices_for_user(user, confirmed=True).first()
        device = device or RecoveryDevice.objects.create(user=user, name="Recovery codes")
        device.token_set.all().delete()
        device.recovery_codes.all().delete()
        codes = [StaticToken.random_token() for number in range(RECOVERY_CODES)]
        for code in codes:
            device.add_code(code)
    return codes


def count_recovery_codes(user) -> int:
    return RecoveryCode.objects.filter(device__user=user, device__confirmed=True).count()


@transaction.atomic
def disable(user):
    for model in (Authenticator, RecoveryDevice):
        model.objects.devices_for_user(user).delete()


def accept_code(devices, code) -> Device:
    """Check the code against the first of the devices, and return the device.

    A right code cannot be used again. Each wrong code doubles the wait until the next try.
    Raises ValidationError.
    """
    try:
        with transaction.atomic():  # an exception in here would undo the count of wrong codes
            device = devices.select_for_update().first()
            refusal = device.verify_is_allowed()[1] if device else None
            is_right = device is not None and device.verify_token(code)
    except UnknownKeyError:
        raise ValidationError(
            _("The server has lost the key for this code. Ask a Manager."), "lost"
        ) from None
    if refusal:
        raise ValidationError(describe_wait(refusal["locked_until"]), "too_soon")
    if not is_right:
        raise ValidationError(_("This code is wrong, or was used already."), "wrong")
    return device


def describe_wait(until) -> str:
    now = timezone.now()
    seconds = ceil((until - now).total_seconds())
    if seconds < 60:
        span = ngettext("%(n)s second", "%(n)s seconds", seconds) % {"n": seconds}
    else:
        span = timeuntil(until, now)
    return _("Too soon after a wrong code. Try again in %(span)s.") % {"span": span}
