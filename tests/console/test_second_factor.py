"""Set up, use and turn off the second factor."""

import re
import secrets

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.models import AuthenticatorKey, RecoveryCode
from tests.admin.browser import sign_in
from tests.authenticator import AuthenticatorApp, set_up_second_factor
from tests.conftest import headers_for
from tests.service import shows

PASSWORD = "correct horse"
CODE_PAGE = "/sign-in/code/"
ADMIN_MODELS = {"otp_totp_totpdevice": TOTPDevice, "otp_static_staticdevice": StaticDevice}


def create_superuser(name):
    return User.objects.create_superuser(name, password=PASSWORD)


def sign_in_with_password(name="rosa"):
    browser = Client()
    browser.post("/sign-in/", {"username": name, "password": PASSWORD})
    return browser


def send_code(browser, code, page=CODE_PAGE, **more):
    return browser.post(page, {"code": code, **more})


def is_signed_in(browser):
    return browser.get("/me/").status_code == 200


def get_code_error(page):
    return page.context["form"].errors["code"][0]


@pytest.fixture
def rosa(db):
    return create_superuser("rosa")


@pytest.fixture
def browser(rosa):
    """Return a browser in which Rosa signed in without a second factor."""
    return sign_in_with_password()


@pytest.fixture
def app_and_codes(rosa):
    return set_up_second_factor(rosa)


@pytest.fixture
def app(app_and_codes):
    return app_and_codes[0]


@pytest.fixture
def codes(app_and_codes):
    return app_and_codes[1]


# --- Set-up -----------------------------------------------------------------------


def start_set_up(browser):
    """Return the page with the key, and an app that has the key."""
    page = browser.post("/me/second-factor/start/", follow=True)
    return page, AuthenticatorApp(page.context["key"])


def test_password_is_enough_without_second_factor(browser):
    assert is_signed_in(browser)
    assert "Set it up" in browser.get("/me/").text


def test_page_shows_key_address_and_qr_code(browser):
    page, _ = start_set_up(browser)
    key = page.context["key"]
    assert f'<code id="key">{key}</code>' in page.text
    assert "otpauth://totp/Mailbox%20service%3Arosa?secret=" + key in page.text
    assert 'src="data:image/svg+xml;base64,' in page.text
    assert "no-store" in page["Cache-Control"]


def test_first_code_turns_the_second_factor_on_and_shows_recovery_codes(browser):
    _, app = start_set_up(browser)
    page = send_code(browser, app.code(), "/me/second-factor/")
    assert page.status_code == 200  # no redirect, so the codes are stored nowhere
    assert "no-store" in page["Cache-Control"]
    assert len(set(page.context["codes"].split())) == 10
    assert is_signed_in(browser)
    assert not is_signed_in(sign_in_with_password())
    assert page.context["codes"] not in browser.get("/me/").text


def test_history_of_a_login_has_each_change_of_its_second_factor(browser, rosa, admin_user):
    _, app = start_set_up(browser)
    send_code(browser, app.code(), "/me/second-factor/")
    send_code(browser, app.code(ahead=1), CODES_PAGE)
    send_code(browser, app.code(ahead=2), OFF_PAGE)
    set_up_second_factor(rosa)
    admin = sign_in(admin_user)
    for model in ("otp_totp_totpdevice", "otp_static_staticdevice"):
        (pk,) = {device.pk for device in ADMIN_MODELS[model].objects.all()}
        admin.post(reverse(f"admin:{model}_delete", args=[pk]), {"post": "yes"})
    history = LogEntry.objects.filter(
        object_id=str(rosa.pk), content_type=ContentType.objects.get_for_model(User)
    )
    assert [
        (entry.user.username, entry.get_change_message()) for entry in history.order_by("pk")
    ] == [
        ("rosa", "Second factor turned on."),
        ("rosa", "Recovery codes replaced."),
        ("rosa", "Second factor turned off."),
        ("admin", "Second factor turned off."),
        ("admin", "Recovery codes removed."),
    ]
    assert "Second factor turned on." in admin.get(f"/staff/{rosa.pk}/").text


def test_unconfirmed_second_factor_is_not_required(browser):
    start_set_up(browser)
    assert is_signed_in(sign_in_with_password())


def test_wrong_first_code_keeps_the_key(browser):
    page, app = start_set_up(browser)
    again = send_code(browser, app.wrong_code(), "/me/second-factor/")
    assert get_code_error(again) == "This code is wrong, or was used already."
    assert again.context["key"] == page.context["key"]
    assert is_signed_in(sign_in_with_password())


def test_second_start_of_the_set_up_creates_another_key(browser):
    (first, _), (second, _) = start_set_up(browser), start_set_up(browser)
    assert first.context["key"] != second.context["key"]
    assert TOTPDevice.objects.count() == 1


def test_set_up_page_redirects_before_the_start(browser):
    assert browser.get("/me/second-factor/").url == "/me/"


def test_start_is_refused_after_set_up(browser, app):
    send_code(browser, app.code(ahead=1))
    assert browser.post("/me/second-factor/start/").url == "/me/"
    assert TOTPDevice.objects.count() == 1


# --- Sign-in ----------------------------------------------------------------------


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
def test_pages_redirect_until_the_code_is_entered(app, page):
    assert (
        sign_in_with_password().get(page, follow=True).redirect_chain[-1][0].startswith(CODE_PAGE)
    )


def test_forms_are_refused_until_the_code_is_entered(app, rosa):
    answer = sign_in_with_password().post("/me/second-factor/start/")
    assert answer.url == f"{CODE_PAGE}?next=/"
    form = {"action": "delete_selected", "_selected_action": [rosa.pk], "post": "yes"}
    assert sign_in_with_password().post("/admin/auth/user/", form).url == f"{CODE_PAGE}?next=/"
    assert User.objects.exists()


def test_code_page_has_no_links_to_other_pages(app):
    page = sign_in_with_password().get(CODE_PAGE).text
    assert "Administration" not in page
    assert 'href="/me/"' not in page


def test_right_code_redirects_to_the_requested_page(app):
    browser = sign_in_with_password()
    page = browser.get("/changes/?page=2", follow=True)
    assert page.context["next"] == "/changes/?page=2"
    answer = send_code(browser, app.code(ahead=1), next=page.context["next"])
    assert answer.url == "/changes/?page=2"
    assert is_signed_in(browser)
    assert browser.get("/admin/").status_code == 200


def test_wrong_code_is_refused_and_the_next_page_kept(app):
    browser = sign_in_with_password()
    page = send_code(browser, app.wrong_code(), next="/changes/")
    assert get_code_error(page) == "This code is wrong, or was used already."
    assert page.context["next"] == "/changes/"
    assert not is_signed_in(browser)


def test_code_is_accepted_once(app):
    code = app.code(ahead=1)
    send_code(sign_in_with_password(), code)
    browser = sign_in_with_password()
    assert get_code_error(send_code(browser, code)) == "This code is wrong, or was used already."
    assert not is_signed_in(browser)


def test_right_code_is_refused_for_a_while_after_wrong_codes(app):
    browser = sign_in_with_password()
    send_code(browser, app.wrong_code())
    TOTPDevice.objects.update(
        throttling_failure_count=5, throttling_failure_timestamp=timezone.now()
    )
    for _ in range(2):
        message = get_code_error(send_code(browser, app.code(ahead=1)))
        assert re.fullmatch(r"Too soon after a wrong code\. Try again in 1\d seconds\.", message)
    TOTPDevice.objects.update(throttling_failure_count=12)
    assert "Try again in 34 minutes." in get_code_error(
        send_code(browser, app.code(ahead=1))
    ).replace("\xa0", " ")
    assert TOTPDevice.objects.get().throttling_failure_count == 12
    assert not is_signed_in(browser)


def test_right_recovery_code_is_delayed_after_wrong_codes(codes):
    browser = sign_in_with_password()
    for code in ("wrong123", codes[0]):
        answer = send_code(browser, code)
    assert get_code_error(answer) == "Too soon after a wrong code. Try again in 1 second."
    StaticDevice.objects.update(throttling_failure_count=5)
    assert "Try again in 1" in get_code_error(send_code(browser, codes[0]))
    assert StaticDevice.objects.get().throttling_failure_count == 5
    assert RecoveryCode.objects.count() == len(codes)


@pytest.mark.parametrize("code", ["", "\0", "x" * 33, "abc", "²²²²²²", "123-456"])
def test_malformed_code_is_refused(app, code):
    page = send_code(sign_in_with_password(), code)
    assert page.status_code == 200
    assert get_code_error(page)


def test_code_with_spaces_is_accepted(app):
    code = app.code(ahead=1)
    browser = sign_in_with_password()
    send_code(browser, f" {code[:3]} {code[3:]} ")
    assert is_signed_in(browser)


def test_recovery_code_is_accepted_once(codes):
    code = f"{codes[0][:4]}-{codes[0][4:]}".upper()
    browser = sign_in_with_password()
    page = browser.post(CODE_PAGE, {"code": code}, follow=True)
    assert "You signed in with a recovery code. 9 are left." in page.text
    assert is_signed_in(browser)
    again = sign_in_with_password()
    assert get_code_error(send_code(again, code)) == "This code is wrong, or was used already."
    assert not is_signed_in(again)


def test_page_warns_of_few_remaining_recovery_codes(app, codes):
    browser = sign_in_with_password()
    send_code(browser, app.code(ahead=1))
    assert "Get new ones" not in browser.get("/me/").text
    kept = RecoveryCode.objects.values("pk")[:2]
    RecoveryCode.objects.exclude(pk__in=kept).delete()
    assert "Get new ones" in browser.get("/me/").text


def test_codes_of_another_user_are_refused(app):
    other, codes = set_up_second_factor(create_superuser("hugo"))
    for code in (other.code(ahead=1), codes[0]):
        browser = sign_in_with_password()
        assert get_code_error(send_code(browser, code))
        assert not is_signed_in(browser)


def test_code_under_a_lost_key_is_refused(app, codes, settings):
    settings.PASS_CODE_KEYS = KeyRing([secrets.token_bytes(KEY_BYTES)])
    browser = sign_in_with_password()
    for code in (app.code(ahead=1), codes[0]):
        message = get_code_error(send_code(browser, code))
        assert message == "The server has lost the key for this code. Ask a Manager."
    assert not is_signed_in(browser)


def test_set_up_begins_again_after_its_key_is_lost(browser, settings):
    start_set_up(browser)
    settings.PASS_CODE_KEYS = KeyRing([secrets.token_bytes(KEY_BYTES)])
    assert browser.get("/me/second-factor/").url == "/me/"
    _, app = start_set_up(browser)
    assert send_code(browser, app.code(), "/me/second-factor/").context["codes"]


def test_device_of_another_user_in_the_session_is_refused(app):
    set_up_second_factor(create_superuser("hugo"))
    browser = sign_in_with_password()
    session = browser.session
    session["otp_device_id"] = TOTPDevice.objects.get(user__username="hugo").persistent_id
    session.save()
    assert not is_signed_in(browser)


def test_sessions_older_than_the_second_factor_need_a_code_too(browser, app):
    assert not is_signed_in(browser)
    send_code(browser, app.code(ahead=1))
    assert is_signed_in(browser)


def test_code_page_redirects_if_no_code_is_needed(browser, client, rosa):
    assert browser.get(CODE_PAGE).url == "/"
    assert client.get(CODE_PAGE).url == "/"


def test_sign_out_works_without_the_code(app):
    browser = sign_in_with_password()
    assert browser.post("/sign-out/").url == "/sign-in/"
    assert browser.get(CODE_PAGE).url == "/"


def test_api_needs_no_code(app, account):
    answer = sign_in_with_password().get("/authenticated", headers=headers_for(account))
    assert answer.status_code == 200


def test_health_check_needs_no_code(app):
    assert sign_in_with_password().get("/healthz").status_code == 200


# --- New recovery codes, turning it off --------------------------------------------


@pytest.fixture
def verified(app):
    """Return a browser in which Rosa signed in with a code."""
    browser = sign_in_with_password()
    send_code(browser, app.code(ahead=1))
    return browser


CODES_PAGE, OFF_PAGE = "/me/second-factor/recovery-codes/", "/me/second-factor/off/"


def test_new_recovery_codes_replace_the_old_ones(verified, codes):
    page = send_code(verified, codes[0], CODES_PAGE)
    new = page.context["codes"].split()
    assert len(new) == 10
    assert is_signed_in(verified)
    assert get_code_error(send_code(sign_in_with_password(), codes[1]))
    StaticDevice.objects.update(throttling_failure_timestamp=None)
    assert send_code(sign_in_with_password(), new[0]).url == "/"


def test_renewing_recovery_codes_keeps_the_session(codes):
    browser = sign_in_with_password()
    send_code(browser, codes[0])
    send_code(browser, codes[1], CODES_PAGE)
    assert is_signed_in(browser)


def test_second_factor_is_turned_off(verified, codes):
    page = verified.post(OFF_PAGE, {"code": codes[0]}, follow=True)
    assert "The second factor is off." in page.text
    assert is_signed_in(verified)
    assert is_signed_in(sign_in_with_password())
    assert not TOTPDevice.objects.exists()
    assert not AuthenticatorKey.objects.exists()
    assert not RecoveryCode.objects.exists()


@pytest.mark.parametrize("page", [CODES_PAGE, OFF_PAGE])
def test_new_recovery_codes_and_turning_off_need_a_valid_code(verified, app, codes, page):
    for code in ("", app.wrong_code(), "abcdefgh"):
        assert get_code_error(send_code(verified, code, page))
    assert {row.decrypt() for row in RecoveryCode.objects.all()} == set(codes)
    assert not is_signed_in(sign_in_with_password())


@pytest.mark.parametrize("page", [CODES_PAGE, OFF_PAGE])
def test_code_pages_redirect_if_there_is_no_second_factor(browser, page):
    assert browser.get(page).url == "/me/"


PAGES = ["/me/second-factor/", CODES_PAGE, OFF_PAGE]


def test_keys_and_codes_are_not_logged(browser, caplog):
    page, app = start_set_up(browser)
    code = app.code()
    codes = send_code(browser, code, "/me/second-factor/").context["codes"].split()
    send_code(sign_in_with_password(), codes[0])
    assert "POST /sign-in/code/ 302" in caplog.text
    for secret in (page.context["key"], code, *codes):
        assert not shows(caplog.text, secret)
