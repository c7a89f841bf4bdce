"""Whoever gives wrong passwords too often waits, and is told how long."""

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


def give(password, username="rosa", address=HERE, **headers):
    """What a new browser at the address is answered."""
    form = {"username": username, "password": password}
    return Client().post("/sign-in/", form, REMOTE_ADDR=address, headers=headers)


def fail(times, **where):
    """Give so many wrong passwords; the last answer."""
    return [give("wrong", **where) for _ in range(times)][-1]


def is_in(response):
    return response.status_code == 302


def let_pass(**time):
    """So much time passes."""
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(**time))


def test_the_fifth_wrong_password_locks_and_says_how_long(rosa):
    assert fail(4).status_code == 200
    page = fail(1)
    assert page.status_code == 429
    assert 890 < int(page["Retry-After"]) <= 900
    assert "From your IP address, this username is locked. Try again in 15 minutes." in page.text
    assert "no-store" in page["Cache-Control"]


def test_others_sign_in_all_the_while(rosa):
    User.objects.create_superuser("hugo", password=PASSWORD)
    fail(5)
    assert is_in(give(PASSWORD, username="hugo"))
    assert is_in(give(PASSWORD, address=ELSEWHERE))


def test_a_username_that_nobody_has_is_locked_too(rosa):
    assert fail(5, username="nobody").status_code == 429


def test_signing_in_forgets_the_failures(rosa):
    fail(4)
    assert is_in(give(PASSWORD))
    assert fail(4).status_code == 200


def test_the_lock_ends_by_itself(rosa):
    fail(5)
    let_pass(minutes=14)
    page = give(PASSWORD)
    assert page.status_code == 429
    assert 0 < int(page["Retry-After"]) <= 60
    assert "Try again in 1 minute." in page.text
    let_pass(minutes=1)
    assert is_in(give(PASSWORD))


def test_trying_on_makes_it_no_longer(rosa):
    fail(5)
    let_pass(minutes=10)
    assert int(fail(3)["Retry-After"]) <= 300
    let_pass(minutes=5)
    assert is_in(give(PASSWORD))


def test_another_browser_at_the_address_is_locked_too_until_too_few_failures_count(rosa):
    for number in range(4):
        give("wrong", **{"User-Agent": f"browser {number}"})
    let_pass(minutes=5)
    page = give("wrong", **{"User-Agent": "another"})
    assert page.status_code == 429
    assert 590 < int(page["Retry-After"]) <= 600
    let_pass(minutes=10)
    assert is_in(give(PASSWORD))


def test_a_forged_address_dodges_nothing(rosa):
    for number in range(4):
        give("wrong", **{"X-Forwarded-For": f"192.0.2.{number}", "X-Real-IP": f"192.0.2.{number}"})
    assert give("wrong", **{"X-Forwarded-For": "192.0.2.99"}).status_code == 429


def test_another_address_of_ones_own_ipv6_network_dodges_nothing(rosa):
    for number in range(4):
        give("wrong", address=f"2001:db8::{number}")
    assert give("wrong", address="2001:db8::ffff:0:0:1").status_code == 429
    assert give(PASSWORD, address="2001:db8::ff").status_code == 429
    assert is_in(give(PASSWORD, address="2001:db8:0:1::1"))


def test_behind_a_trusted_proxy_callers_are_told_apart(rosa, settings):
    settings.TRUSTED_PROXIES = [ip_network(HERE)]
    for _ in range(4):
        give("wrong", **{"X-Forwarded-For": f"192.0.2.66, {ELSEWHERE}"})
    assert give("wrong", **{"X-Forwarded-For": ELSEWHERE}).status_code == 429
    assert is_in(give(PASSWORD, **{"X-Forwarded-For": "198.51.100.8"}))


def test_a_caller_of_whom_nobody_knows_the_address_is_locked_too(rosa, settings):
    settings.TRUSTED_PROXIES = [ip_network(HERE)]
    nobody = {"X-Forwarded-For": "nonsense"}
    for _ in range(5):
        page = give("wrong", **nobody)
    assert page.status_code == 429
    assert give(PASSWORD, **nobody).status_code == 429


def test_the_admin_is_no_other_door(rosa):
    fail(5)
    form = {"username": "rosa", "password": PASSWORD}
    answer = Client().post("/admin/login/", form, REMOTE_ADDR=HERE, follow=True)
    assert answer.redirect_chain == [("/sign-in/", 302)]
    assert not answer.wsgi_request.user.is_authenticated


@pytest.mark.parametrize("username", ["rosa\0", "x" * 300, "🙂" * 150])
def test_odd_usernames_are_refused_as_any(rosa, username):
    assert give("wrong", username=username, **{"User-Agent": "é" * 300}).status_code == 200


def test_neither_passwords_nor_what_was_typed_for_a_username_are_logged(rosa, caplog):
    fail(5, username="my-secret-by-mistake")
    give("hunter-two")
    assert "Locking out" in caplog.text
    assert HERE in caplog.text
    for typed in ("wrong", "hunter-two", "my-secret-by-mistake"):
        assert typed not in caplog.text


def test_no_password_is_kept(rosa):
    give("hunter-two")
    attempt = AccessAttempt.objects.get()
    assert "hunter-two" not in str(attempt.__dict__)


def test_an_administrator_lifts_the_lock_by_command(rosa, capsys):
    fail(5)
    call_command("axes_reset_username", "rosa")
    assert is_in(give(PASSWORD))


def test_an_administrator_lifts_the_lock_in_the_admin(rosa):
    fail(5)
    browser = sign_in(rosa)
    assert "rosa" in browser.get("/admin/axes/accessattempt/").text
    attempt = AccessAttempt.objects.get()
    browser.post(f"/admin/axes/accessattempt/{attempt.pk}/delete/", {"post": "yes"})
    assert is_in(give(PASSWORD))
