"""Lock-out after too many wrong passwords."""

from datetime import timedelta
from ipaddress import ip_network

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import F
from django.test import Client

from tests.admin.browser import sign_in

PASSWORD = "correct horse"
HERE, ELSEWHERE = "203.0.113.9", "198.51.100.7"


@pytest.fixture
def rosa(db):
    return User.objects.create_superuser("rosa", password=PASSWORD)


def try_password(password, username="rosa", address=HERE, **headers):
    """Send the sign-in form from a new browser at the address."""
    form = {"username": username, "password": password}
    return Client().post("/sign-in/", form, REMOTE_ADDR=address, headers=headers)


def fail_sign_in(times, **options):
    """Send wrong passwords; return the last response."""
    return [try_password("wrong", **options) for _ in range(times)][-1]


def is_signed_in(response):
    return response.status_code == 302


def age_attempts(**time):
    """Move all attempts into the past, as if this much time had passed."""
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(**time))


def test_fifth_wrong_password_locks_the_username(rosa):
    assert fail_sign_in(4).status_code == 200
    page = fail_sign_in(1)
    assert page.status_code == 429
    assert 890 < int(page["Retry-After"]) <= 900
    assert "This username is locked for your IP address. Try again in 15 minutes." in page.text
    assert "no-store" in page["Cache-Control"]


def test_other_usernames_and_addresses_are_not_locked(rosa):
    User.objects.create_superuser("hugo", password=PASSWORD)
    fail_sign_in(5)
    assert is_signed_in(try_password(PASSWORD, username="hugo"))
    assert is_signed_in(try_password(PASSWORD, address=ELSEWHERE))


def test_unknown_username_is_locked_too(rosa):
    assert fail_sign_in(5, username="nobody").status_code == 429


def test_sign_in_resets_the_failures(rosa):
    fail_sign_in(4)
    assert is_signed_in(try_password(PASSWORD))
    assert fail_sign_in(4).status_code == 200


def test_lock_ends_after_fifteen_minutes(rosa):
    fail_sign_in(5)
    age_attempts(minutes=14)
    page = try_password(PASSWORD)
    assert page.status_code == 429
    assert 0 < int(page["Retry-After"]) <= 60
    assert "Try again in 1 minute." in page.text
    age_attempts(minutes=1)
    assert is_signed_in(try_password(PASSWORD))


def test_more_attempts_do_not_extend_the_lock(rosa):
    fail_sign_in(5)
    age_attempts(minutes=10)
    assert int(fail_sign_in(3)["Retry-After"]) <= 300
    age_attempts(minutes=5)
    assert is_signed_in(try_password(PASSWORD))


def test_failures_of_several_browsers_at_one_address_are_added(rosa):
    for number in range(4):
        try_password("wrong", **{"User-Agent": f"browser {number}"})
    age_attempts(minutes=5)
    page = try_password("wrong", **{"User-Agent": "another"})
    assert page.status_code == 429
    assert 590 < int(page["Retry-After"]) <= 600
    age_attempts(minutes=10)
    assert is_signed_in(try_password(PASSWORD))


def test_forged_address_does_not_avoid_the_lock(rosa):
    for number in range(4):
        try_password(
            "wrong", **{"X-Forwarded-For": f"192.0.2.{number}", "X-Real-IP": f"192.0.2.{number}"}
        )
    assert try_password("wrong", **{"X-Forwarded-For": "192.0.2.99"}).status_code == 429


def test_ipv6_network_is_locked_as_a_whole(rosa):
    for number in range(4):
        try_password("wrong", address=f"2001:db8::{number}")
    assert try_password("wrong", address="2001:db8::ffff:0:0:1").status_code == 429
    assert try_password(PASSWORD, address="2001:db8::ff").status_code == 429
    assert is_signed_in(try_password(PASSWORD, address="2001:db8:0:1::1"))


def test_callers_behind_a_trusted_proxy_are_locked_separately(rosa, settings):
    settings.TRUSTED_PROXIES = [ip_network(HERE)]
    for _ in range(4):
        try_password("wrong", **{"X-Forwarded-For": f"192.0.2.66, {ELSEWHERE}"})
    assert try_password("wrong", **{"X-Forwarded-For": ELSEWHERE}).status_code == 429
    assert is_signed_in(try_password(PASSWORD, **{"X-Forwarded-For": "198.51.100.8"}))


def test_caller_without_valid_address_is_locked_too(rosa, settings):
    settings.TRUSTED_PROXIES = [ip_network(HERE)]
    headers = {"X-Forwarded-For": "nonsense"}
    for _ in range(5):
        page = try_password("wrong", **headers)
    assert page.status_code == 429
    assert try_password(PASSWORD, **headers).status_code == 429


def test_admin_login_does_not_avoid_the_lock(rosa):
    fail_sign_in(5)
    form = {"username": "rosa", "password": PASSWORD}
    answer = Client().post("/admin/login/", form, REMOTE_ADDR=HERE, follow=True)
    assert answer.redirect_chain == [("/sign-in/", 302)]
    assert not answer.wsgi_request.user.is_authenticated


@pytest.mark.parametrize("username", ["rosa\0", "x" * 300, "🙂" * 150])
def test_unusual_usernames_are_refused(rosa, username):
    assert try_password("wrong", username=username, **{"User-Agent": "é" * 300}).status_code == 200


def test_passwords_and_usernames_are_not_logged(rosa, caplog):
    fail_sign_in(5, username="my-secret-by-mistake")
    try_password("hunter-two")
    assert "Locking out" in caplog.text
    assert HERE in caplog.text
    for secret in ("wrong", "hunter-two", "my-secret-by-mistake"):
        assert secret not in caplog.text


def test_password_is_not_stored(rosa):
    try_password("hunter-two")
    attempt = AccessAttempt.objects.get()
    assert "hunter-two" not in str(attempt.__dict__)


def test_command_lifts_the_lock(rosa, capsys):
    fail_sign_in(5)
    call_command("axes_reset_username", "rosa")
    assert is_signed_in(try_password(PASSWORD))


def test_deleting_the_attempt_in_the_admin_lifts_the_lock(rosa):
    fail_sign_in(5)
    browser = sign_in(rosa)
    assert "rosa" in browser.get("/admin/axes/accessattempt/").text
    attempt = AccessAttempt.objects.get()
    browser.post(f"/admin/axes/accessattempt/{attempt.pk}/delete/", {"post": "yes"})
    assert is_signed_in(try_password(PASSWORD))
