"""A code after the password, for whoever has set that up: no page without it, and each code once."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes.staff import second_factor
from tests.admin.browser import sign_in
from tests.authenticator import AuthenticatorApp
from tests.conftest import headers_for
from tests.service import shows

PASSWORD = "correct horse"
CODE_PAGE = "/sign-in/code/"


def person(name):
    return User.objects.create_superuser(name, password=PASSWORD)


def set_up(user):
    """The user's app and recovery codes, after the second factor was set up with the code of now."""
    app = AuthenticatorApp(second_factor.format_key(second_factor.start_set_up(user)))
    second_factor.confirm_authenticator(user, app.code())
    return app, second_factor.create_recovery_codes(user)


def with_password(name="rosa"):
    """A browser in which the password was given."""
    browser = Client()
    browser.post("/sign-in/", {"username": name, "password": PASSWORD})
    return browser


def give(browser, code, page=CODE_PAGE, **more):
    return browser.post(page, {"code": code, **more})


def is_in(browser):
    return browser.get("/me/").status_code == 200


def error(page):
    return page.context["form"].errors["code"][0]


@pytest.fixture
def rosa(db):
    return person("rosa")


@pytest.fixture
def browser(rosa):
    """Rosa's, signed in before she set anything up."""
    return with_password()


@pytest.fixture
def app_and_codes(rosa):
    return set_up(rosa)


@pytest.fixture
def app(app_and_codes):
    return app_and_codes[0]


@pytest.fixture
def codes(app_and_codes):
    return app_and_codes[1]


# --- Setting it up ----------------------------------------------------------------


def begin(browser):
    """The page with the key, and an app that has it."""
    page = browser.post("/me/second-factor/start/", follow=True)
    return page, AuthenticatorApp(page.context["key"])


def test_without_one_the_password_is_enough(browser):
    assert is_in(browser)
    assert "Set it up" in browser.get("/me/").text


def test_the_page_shows_the_key_as_text_address_and_image(browser):
    page, _ = begin(browser)
    key = page.context["key"]
    assert f'<code id="key">{key}</code>' in page.text
    assert "otpauth://totp/Mailbox%20service%3Arosa?secret=" + key in page.text
    assert 'src="data:image/svg+xml;base64,' in page.text
    assert "no-store" in page["Cache-Control"]


def test_the_first_code_turns_it_on_and_shows_ten_recovery_codes(browser):
    _, app = begin(browser)
    page = give(browser, app.code(), "/me/second-factor/")
    assert page.status_code == 200  # no redirect: what it shows travels nowhere
    assert "no-store" in page["Cache-Control"]
    assert len(set(page.context["codes"].split())) == 10
    assert is_in(browser)
    assert not is_in(with_password())
    assert page.context["codes"] not in browser.get("/me/").text


def test_one_that_was_only_begun_does_not_count(browser):
    begin(browser)
    assert is_in(with_password())


def test_a_wrong_first_code_keeps_the_key(browser):
    page, app = begin(browser)
    again = give(browser, app.wrong_code(), "/me/second-factor/")
    assert error(again) == "This code is wrong, or was used already."
    assert again.context["key"] == page.context["key"]
    assert is_in(with_password())


def test_beginning_again_makes_another_key(browser):
    (first, _), (second, _) = begin(browser), begin(browser)
    assert first.context["key"] != second.context["key"]
    assert TOTPDevice.objects.count() == 1


def test_who_has_begun_nothing_is_led_back(browser):
    assert browser.get("/me/second-factor/").url == "/me/"


def test_who_has_one_begins_no_other(browser, app):
    give(browser, app.code(ahead=1))
    assert browser.post("/me/second-factor/start/").url == "/me/"
    assert TOTPDevice.objects.count() == 1


# --- Signing in with it -----------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [
        "/",
        "/changes/?page=2",
        "/me/",
        "/me/second-factor/off/",
        "/admin/",
        "/admin/auth/user/",
        "/admin/jsi18n/",
        "/docs/",
        "/docs/try/",
        "/nowhere/",
    ],
)
def test_no_page_before_the_code(app, page):
    assert with_password().get(page, follow=True).redirect_chain[-1][0].startswith(CODE_PAGE)


def test_nothing_is_done_before_the_code(app, rosa):
    answer = with_password().post("/me/second-factor/start/")
    assert answer.url == f"{CODE_PAGE}?next=/"
    form = {"action": "delete_selected", "_selected_action": [rosa.pk], "post": "yes"}
    assert with_password().post("/admin/auth/user/", form).url == f"{CODE_PAGE}?next=/"
    assert User.objects.exists()


def test_the_page_leads_nowhere_yet(app):
    page = with_password().get(CODE_PAGE).text
    assert "Administration" not in page
    assert 'href="/me/"' not in page


def test_the_code_leads_to_the_page_that_was_asked_for(app):
    browser = with_password()
    page = browser.get("/changes/?page=2", follow=True)
    assert page.context["next"] == "/changes/?page=2"
    answer = give(browser, app.code(ahead=1), next=page.context["next"])
    assert answer.url == "/changes/?page=2"
    assert is_in(browser)
    assert browser.get("/admin/").status_code == 200


def test_a_wrong_code_is_refused_at_the_field_and_the_next_page_kept(app):
    browser = with_password()
    page = give(browser, app.wrong_code(), next="/changes/")
    assert error(page) == "This code is wrong, or was used already."
    assert page.context["next"] == "/changes/"
    assert not is_in(browser)


def test_a_code_is_taken_once(app):
    code = app.code(ahead=1)
    give(with_password(), code)
    browser = with_password()
    assert error(give(browser, code)) == "This code is wrong, or was used already."
    assert not is_in(browser)


def test_after_a_wrong_code_even_a_right_one_waits(app):
    browser = with_password()
    give(browser, app.wrong_code())
    TOTPDevice.objects.update(
        throttling_failure_count=5, throttling_failure_timestamp=timezone.now()
    )
    for _ in range(2):
        said = error(give(browser, app.code(ahead=1)))
        assert re.fullmatch(r"Too soon after a wrong code\. Try again in 1\d seconds\.", said)
    TOTPDevice.objects.update(throttling_failure_count=12)
    assert "Try again in 34 minutes." in error(give(browser, app.code(ahead=1))).replace(
        "\xa0", " "
    )
    assert TOTPDevice.objects.get().throttling_failure_count == 12
    assert not is_in(browser)


@pytest.mark.parametrize("typed", ["", "\0", "x" * 33, "abc", "²²²²²²", "123-456"])
def test_what_is_no_code_is_refused(app, typed):
    page = give(with_password(), typed)
    assert page.status_code == 200
    assert error(page)


def test_a_code_is_taken_as_people_type_it(app):
    code = app.code(ahead=1)
    browser = with_password()
    give(browser, f" {code[:3]} {code[3:]} ")
    assert is_in(browser)


def test_a_recovery_code_opens_once(codes):
    shown = f"{codes[0][:4]}-{codes[0][4:]}".upper()
    browser = with_password()
    page = browser.post(CODE_PAGE, {"code": shown}, follow=True)
    assert "You signed in with a recovery code. 9 are left." in page.text
    assert is_in(browser)
    again = with_password()
    assert error(give(again, shown)) == "This code is wrong, or was used already."
    assert not is_in(again)


def test_few_recovery_codes_left_are_warned_of(app, codes):
    browser = with_password()
    give(browser, app.code(ahead=1))
    assert "Get new ones" not in browser.get("/me/").text
    StaticToken.objects.filter(token__in=codes[2:]).delete()
    assert "Get new ones" in browser.get("/me/").text


def test_another_persons_codes_open_nothing(app):
    other, codes = set_up(person("hugo"))
    for code in (other.code(ahead=1), codes[0]):
        browser = with_password()
        assert error(give(browser, code))
        assert not is_in(browser)


def test_another_persons_authenticator_in_the_session_opens_nothing(app):
    set_up(person("hugo"))
    browser = with_password()
    session = browser.session
    session["otp_device_id"] = TOTPDevice.objects.get(user__username="hugo").persistent_id
    session.save()
    assert not is_in(browser)


def test_sessions_from_before_it_was_set_up_give_a_code_too(browser, app):
    assert not is_in(browser)
    give(browser, app.code(ahead=1))
    assert is_in(browser)


def test_who_owes_no_code_is_led_on(browser, client, rosa):
    assert browser.get(CODE_PAGE).url == "/"
    assert client.get(CODE_PAGE).url == "/"


def test_one_can_sign_out_instead(app):
    browser = with_password()
    assert browser.post("/sign-out/").url == "/sign-in/"
    assert browser.get(CODE_PAGE).url == "/"


def test_the_api_knows_nothing_of_it(app, account):
    answer = with_password().get("/authenticated", headers=headers_for(account))
    assert answer.status_code == 200


def test_the_health_checks_know_nothing_of_it(app):
    assert with_password().get("/healthz").status_code == 200


# --- New recovery codes, and turning it off ---------------------------------------


@pytest.fixture
def verified(app):
    """Rosa's browser, in which her second code was given."""
    browser = with_password()
    give(browser, app.code(ahead=1))
    return browser


CODES_PAGE, OFF_PAGE = "/me/second-factor/recovery-codes/", "/me/second-factor/off/"


def test_new_recovery_codes_end_the_old_ones(verified, codes):
    page = give(verified, codes[0], CODES_PAGE)
    new = page.context["codes"].split()
    assert len(new) == 10
    assert is_in(verified)
    assert error(give(with_password(), codes[1]))
    StaticDevice.objects.update(throttling_failure_timestamp=None)
    assert give(with_password(), new[0]).url == "/"


def test_who_signed_in_with_a_recovery_code_stays_when_they_are_renewed(codes):
    browser = with_password()
    give(browser, codes[0])
    give(browser, codes[1], CODES_PAGE)
    assert is_in(browser)


def test_off_is_off(verified, codes):
    page = verified.post(OFF_PAGE, {"code": codes[0]}, follow=True)
    assert "The second factor is off." in page.text
    assert is_in(verified)
    assert is_in(with_password())
    assert not TOTPDevice.objects.exists()
    assert not StaticToken.objects.exists()


@pytest.mark.parametrize("page", [CODES_PAGE, OFF_PAGE])
def test_neither_without_a_code(verified, app, codes, page):
    for code in ("", app.wrong_code(), "abcdefgh"):
        assert error(give(verified, code, page))
    assert set(StaticToken.objects.values_list("token", flat=True)) == set(codes)
    assert not is_in(with_password())


@pytest.mark.parametrize("page", [CODES_PAGE, OFF_PAGE])
def test_who_has_none_is_led_back(browser, page):
    assert browser.get(page).url == "/me/"


PAGES = ["/me/second-factor/", CODES_PAGE, OFF_PAGE]


def test_no_key_and_no_code_is_logged(browser, caplog):
    page, app = begin(browser)
    code = app.code()
    codes = give(browser, code, "/me/second-factor/").context["codes"].split()
    give(with_password(), codes[0])
    assert "POST /sign-in/code/ 302" in caplog.text
    for secret in (page.context["key"], code, *codes):
        assert not shows(caplog.text, secret)


# --- What an administrator may -----------------------------------------------------


@pytest.fixture
def admin(db):
    return sign_in(person("ada"))


def test_an_administrator_takes_it_off_somebodys_login(admin, app):
    device = TOTPDevice.objects.get()
    assert "rosa" in admin.get("/admin/otp_totp/totpdevice/").text
    admin.post(f"/admin/otp_totp/totpdevice/{device.pk}/delete/", {"post": "yes"})
    assert is_in(with_password())


def test_the_admin_shows_neither_key_nor_codes(admin, app, codes):
    device, recovery = TOTPDevice.objects.get(), StaticDevice.objects.get()
    pages = [
        admin.get(f"/admin/otp_totp/totpdevice/{device.pk}/change/"),
        admin.get(f"/admin/otp_static/staticdevice/{recovery.pk}/change/"),
    ]
    assert [page.status_code for page in pages] == [200, 200]
    for secret in (device.key, second_factor.format_key(device), *codes):
        assert not any(secret in page.text for page in pages)
    assert admin.get(f"/admin/otp_totp/totpdevice/{device.pk}/qrcode/").status_code == 403
