"""The second factors of users in Django admin: shown without secrets, and removed."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes.models import Authenticator
from mailboxes.staff import second_factor
from tests.authenticator import set_up_second_factor
from tests.service import shows

PASSWORD = "correct horse"
DEVICES = "/admin/otp_totp/totpdevice/"


@pytest.fixture(autouse=True)
def codes(db):
    """Set up a second factor for Rosa, and return its recovery codes."""
    return set_up_second_factor(User.objects.create_superuser("rosa", password=PASSWORD))[1]


def is_password_enough() -> bool:
    browser = Client()
    browser.post("/sign-in/", {"username": "rosa", "password": PASSWORD})
    return browser.get("/me/").status_code == 200


def test_administrator_removes_the_second_factor_of_a_user(staff):
    assert not is_password_enough()
    device = TOTPDevice.objects.get()
    assert "rosa" in staff.get(f"{DEVICES}?q=rosa").text
    staff.post(f"{DEVICES}{device.pk}/delete/", {"post": "yes"})
    assert is_password_enough()


def test_administrator_removes_several_second_factors(staff):
    form = {"action": "delete_selected", "_selected_action": [TOTPDevice.objects.get().pk]}
    staff.post(DEVICES, form | {"post": "yes"})
    assert is_password_enough()


def test_key_and_codes_are_not_shown(staff, codes):
    device, recovery = Authenticator.objects.get(), StaticDevice.objects.get()
    paths = [f"{DEVICES}{device.pk}", f"/admin/otp_static/staticdevice/{recovery.pk}"]
    for path in paths:
        for page in ("change", "history", "delete"):
            answer = staff.get(f"{path}/{page}/")
            assert answer.status_code == 200
            for secret in (device.bin_key.hex(), second_factor.format_key(device), *codes):
                assert not shows(answer.text, secret)


def test_administrator_neither_adds_nor_changes_devices(staff):
    device = TOTPDevice.objects.get()
    form = {"name": "Another", "digits": "8"}
    for path in (DEVICES, "/admin/otp_static/staticdevice/"):
        assert staff.get(f"{path}add/?tolerance=x&user={'9' * 40}").status_code == 403
        assert staff.post(f"{path}add/", form).status_code == 403
    assert staff.post(f"{DEVICES}{device.pk}/change/", form).status_code == 403
    assert TOTPDevice.objects.get().name == device.name
