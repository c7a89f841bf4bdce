"""The second factor of staff: an authenticator app, and recovery codes for the day it is lost.

Keys and codes lie in the database as django-otp keeps them: readable to whoever reads it.
"""

from base64 import b32encode
from math import ceil

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.timesince import timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

CODE_DIGITS = 6  # of an authenticator's code; a recovery code is longer
RECOVERY_CODES = 10


def is_on(user) -> bool:
    """Whether the user has an authenticator that counts."""
    return TOTPDevice.objects.devices_for_user(user, confirmed=True).exists()


def is_owed(user) -> bool:
    """Whether the user has signed in with the password alone, and must give a code too."""
    return user.is_authenticated and not user.is_verified() and is_on(user)


def start_set_up(user) -> TOTPDevice:
    """An authenticator that does not count yet, with a key of its own; one begun earlier is forgotten."""
    TOTPDevice.objects.devices_for_user(user, confirmed=False).delete()
    return TOTPDevice.objects.create(user=user, name="Authenticator app", confirmed=False)


def pending_device(user) -> TOTPDevice | None:
    """The authenticator that waits for its first code, if there is one."""
    return TOTPDevice.objects.devices_for_user(user, confirmed=False).first()


def key_of(authenticator) -> str:
    """The key as authenticator apps take it when it is typed."""
    return b32encode(authenticator.bin_key).decode()


def confirm(user, code) -> TOTPDevice:
    """Make the authenticator that was begun count, if the code is its own. Raises ValidationError."""
    authenticator = accept_code(TOTPDevice.objects.devices_for_user(user, confirmed=False), code)
    authenticator.confirmed = True
    authenticator.save(update_fields=["confirmed"])
    return authenticator


def verify(user, code) -> Device:
    """The user's authenticator, or the recovery codes, that the code is of. Raises ValidationError."""
    is_of_authenticator = len(code) == CODE_DIGITS and code.isdigit()
    model = TOTPDevice if is_of_authenticator else StaticDevice
    return accept_code(model.objects.devices_for_user(user, confirmed=True), code)


def new_recovery_codes(user) -> list[str]:
    """Codes that open once each; those given earlier open no more."""
    with transaction.atomic():
        # The device stays: a session that one of its codes opened goes on.
        device = StaticDevice.objects.devices_for_user(user, confirmed=True).first()
        device = device or StaticDevice.objects.create(user=user, name="Recovery codes")
        device.token_set.all().delete()
        codes = [StaticToken.random_token() for number in range(RECOVERY_CODES)]
        StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


def recovery_codes_left(user) -> int:
    return StaticToken.objects.filter(device__user=user, device__confirmed=True).count()


@transaction.atomic
def turn_off(user):
    """Forget the user's authenticator and recovery codes."""
    for model in (TOTPDevice, StaticDevice):
        model.objects.devices_for_user(user).delete()


def accept_code(devices, code) -> Device:
    """The first of the devices, if the code is its own; the code is then used up.

    Raises ValidationError otherwise. Each wrong code doubles the wait before the next.
    """
    with transaction.atomic():  # nothing is raised in here: that a code was wrong must be kept
        device = devices.select_for_update().first()
        refusal = device.verify_is_allowed()[1] if device else None
        is_right = device is not None and device.verify_token(code)
    if refusal:
        raise ValidationError(too_soon(refusal["locked_until"]), "too_soon")
    if not is_right:
        raise ValidationError(_("This code is wrong, or was used already."), "wrong")
    return device


def too_soon(until) -> str:
    """How long to wait, as a sentence."""
    now = timezone.now()
    seconds = ceil((until - now).total_seconds())
    if seconds < 60:
        span = ngettext("%(n)s second", "%(n)s seconds", seconds) % {"n": seconds}
    else:
        span = timeuntil(until, now)
    return _("Too soon after a wrong code. Try again in %(span)s.") % {"span": span}
