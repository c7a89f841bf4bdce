"""Forms sent after their session had ended are filled in again after sign-in."""

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core import signing
from django.test import Client
from django.urls import reverse

from mailboxes.models import Account, ApiCredential, Mailbox
from mailboxes.staff import unsent
from tests.admin.browser import get_form_values
from tests.authenticator import set_up_second_factor
from tests.console.pages import get_form_values as get_values
from tests.console.pages import get_text

LOGIN = {"username": "rosa", "password": "correct horse"}
NOT_SAVED = "You were signed out, so nothing was saved. What you typed is in the form again."
NOT_KEPT = "Pass codes and passwords are not kept: enter them again."


@pytest.fixture
def browser(db):
    browser = Client(SERVER_NAME="localhost")
    browser.force_login(User.objects.create_superuser(**LOGIN))
    return browser


@pytest.fixture
def sales(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales", password="8305")
    mailbox.add_recipient("ann@acme.example")
    return mailbox


def send_without_session(browser, address, typed, page=None, **headers):
    """End the session, send the form of a page, and sign in again. Return the page."""
    Session.objects.all().delete()
    headers["Referer"] = f"http://localhost{page or address}"
    sign_in = browser.post(address, typed, headers=headers, follow=True)
    assert "What you typed before is not saved." in get_text(sign_in)
    return browser.post("/sign-in/", LOGIN | {"next": sign_in.context["next"]}, follow=True)


def test_settings_are_in_the_form_again_without_the_pass_code(browser, sales):
    address = reverse("console:mailbox", args=[sales.pk])
    typed = {"name": "Support", "password": "4826", "greeting": "", "transcribe": "on"}
    page = send_without_session(browser, address, typed | {"version": 2})
    values = {field.name: field.value() for field in page.context["form"]}
    assert values["name"] == "Support"
    assert (values["beep"], values["transcribe"], values["version"]) == (False, True, "2")
    assert (values["password"], "4826" in page.text) == ("••••", False)
    assert NOT_SAVED in get_text(page)
    assert NOT_KEPT in get_text(page)
    assert Mailbox.objects.get().name == "Sales"
    assert browser.get(address).context["form"]["name"].value() == "Sales"  # shown once


def get_pages(account, sales) -> list[tuple]:
    """Return each page with a form: its address, the form's, and what is typed."""
    credential, _secret = ApiCredential.objects.issue(account, "pbx")
    new, mailbox = reverse("console:mailbox-add"), reverse("console:mailbox", args=[sales.pk])
    credentials = f"/accounts/acme/credentials/{credential.pk}/edit/"
    settings = {"name": "Support", "version": 2}
    return [
        (new, new, {"account": "acme", "name": "New", "recipients": "bob@acme.example"}),
        (mailbox, mailbox + "pass-code/suggest/", settings),
        (mailbox, mailbox + "recipients/", {"email": "bob@acme.example"}),
        *(
            (address, address, typed)
            for address, typed in (
                ("/accounts/-/new/", {"name": "beta", "contact_name": "Bob"}),
                ("/accounts/acme/edit/", {"contact_name": "Bob"}),
                ("/accounts/acme/credentials/new/", {"name": "crm", "networks": "192.0.2.0/24"}),
                (credentials, {"networks": "192.0.2.0/24"}),
                ("/staff/new/", {"username": "hugo", "first_name": "Hugo"}),
                ("/admin/mailboxes/account/add/", {"name": "beta", "contact_name": "Bob"}),
            )
        ),
    ]


def test_every_form_is_filled_in_again(browser, account, sales):
    for page, address, typed in get_pages(account, sales):
        shown = send_without_session(browser, address, typed, page)
        assert shown.request["PATH_INFO"] == page
        name = "recipient_form" if "email" in typed else "form"
        form = shown.context.get(name) or shown.context["adminform"].form
        assert {name: form[name].value() for name in typed} == {
            name: str(value) for name, value in typed.items()
        }
        assert NOT_SAVED in get_text(shown)
        assert NOT_KEPT not in get_text(shown)


@pytest.mark.parametrize("groups", [[], ["Viewer", "Support"]])
def test_change_of_groups_before_signing_in_again_is_noticed(browser, groups):
    hugo = User.objects.create_user("hugo", is_staff=True)
    hugo.groups.set(Group.objects.filter(name__in=groups))
    address = f"/staff/{hugo.pk}/edit/"
    typed = get_values(browser.get(address)) | {"groups": ["Viewer"]}
    hugo.groups.set([Group.objects.get(name="Manager")])
    page = send_without_session(browser, address, typed)
    page = browser.post(address, get_values(page))
    assert page.context["form"].errors == {
        "groups": ["This was changed to “Manager” meanwhile. Save again to replace it."]
    }
    assert [group.name for group in hugo.groups.all()] == ["Manager"]
    browser.post(address, get_values(page))
    assert [group.name for group in hugo.groups.all()] == ["Viewer"]


@pytest.mark.parametrize("page", ["/accounts/acme/edit/", "/admin/mailboxes/account/{}/change/"])
def test_change_before_signing_in_again_is_noticed(browser, account, page):
    address = page.format(account.pk)
    is_admin = address.startswith("/admin/")
    read = get_form_values if is_admin else get_values
    typed = read(browser.get(address)) | {"contact_name": "Bob"}
    Account.objects.update(contact_name="Cy")
    page = send_without_session(browser, address, typed)
    assert read(page)["contact_name"] == "Bob"
    page = browser.post(address, read(page))
    form = page.context["adminform"].form if is_admin else page.context["form"]
    assert form.errors == {
        "contact_name": ["This was changed to “Cy” meanwhile. Save again to replace it."]
    }
    assert Account.objects.get().contact_name == "Cy"
    browser.post(address, read(page))
    assert Account.objects.get().contact_name == "Bob"


def test_change_of_a_mailbox_before_signing_in_again_is_noticed(browser, sales):
    address = reverse("console:mailbox", args=[sales.pk])
    typed = get_values(browser.get(address)) | {"name": "Mine"}
    sales.refresh_from_db()
    sales.name = "Theirs"
    sales.save()
    page = send_without_session(browser, address, typed)
    page = browser.post(address, get_values(page))
    assert "Somebody else has changed this mailbox" in page.text
    assert Mailbox.objects.get().name == "Theirs"


def test_mailbox_and_its_recipients_are_in_the_form_of_the_admin_again(browser, sales):
    address = reverse("admin:mailboxes_mailbox_change", args=[sales.pk])
    typed = get_form_values(browser.get(address)) | {"name": "Support", "password": "4826"}
    typed |= {"email_recipients-0-email": "anne@acme.example", "email_recipients-TOTAL_FORMS": 3}
    typed |= {f"email_recipients-{n}-email": f"bob{n}@acme.example" for n in (1, 2)}
    page = send_without_session(browser, address, typed)
    assert NOT_KEPT in get_text(page)
    again = get_form_values(page)
    assert again["password"] == "••••"
    assert {name for name in typed if str(again[name]) != str(typed[name])} == {"password"}
    browser.post(address, again)
    assert Mailbox.objects.get().name == "Support"
    assert sales.email_recipients.count() == 3


def test_new_password_has_to_be_typed_again(browser):
    typed = {"old_password": "correct horse", "new_password1": "battery staple"}
    page = send_without_session(browser, "/me/password/", typed)
    assert f"You were signed out, so nothing was saved. {NOT_KEPT}" in get_text(page)
    assert "battery" not in page.text


def test_secrets_are_kept_in_no_cookie(browser, sales):
    browser.logout()
    typed = {"name": "Support", "password": "4826", "new_password1": "battery", "code": "123456"}
    cookie = browser.post(reverse("console:mailbox-add"), typed).cookies[unsent.COOKIE]
    kept = signing.loads(cookie.value, salt=unsent.COOKIE)
    assert kept == [reverse("console:mailbox-add"), "name=Support", True]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 3600)


def test_forged_cookie_is_ignored(browser):
    of_another_purpose = signing.dumps(["/accounts/-/new/", "", False])
    for cookie in ("", "x", "x:y:z", of_another_purpose):
        browser.cookies[unsent.COOKIE] = cookie
        assert NOT_SAVED not in get_text(browser.get("/accounts/-/new/"))


def test_long_text_is_not_kept(browser):
    browser.logout()
    long = "".join(chr(0x4E00 + n * 37 % 20_000) for n in range(2_000))
    answer = browser.post(reverse("console:mailbox-add"), {"name": long})
    assert (answer.status_code, unsent.COOKIE in answer.cookies) == (302, False)


# --- A page that is older than the last sign-in -------------------------------------------------


@pytest.mark.parametrize("address", ["/sign-out/", "/admin/logout/"])
def test_next_user_does_not_see_what_was_typed_before_a_sign_out(browser, address):
    Session.objects.all().delete()
    browser.post("/accounts/-/new/", {"name": "beta"})
    browser.post("/sign-in/", LOGIN)
    browser.post(address)
    browser.force_login(User.objects.create_superuser("hugo"))
    assert not browser.get("/accounts/-/new/").context["form"]["name"].value()


@pytest.fixture
def strict_browser(browser):
    """A signed-in browser that checks CSRF tokens; it signs in again in another tab."""
    strict = Client(enforce_csrf_checks=True, SERVER_NAME="localhost")
    strict.get("/sign-in/")
    strict.old_token = strict.cookies["csrftoken"].value
    strict.post("/sign-in/", LOGIN | {"csrfmiddlewaretoken": strict.old_token})
    return strict


def test_form_of_an_old_page_is_in_the_form_again(strict_browser):
    typed = {"name": "beta", "contact_name": "Bob", "csrfmiddlewaretoken": strict_browser.old_token}
    page = strict_browser.post("/accounts/-/new/", typed)
    assert page.status_code == 403
    assert "This form is too old to send" in get_text(page)
    form = strict_browser.get(page.context["page"]).context["form"]
    assert (form["name"].value(), form["contact_name"].value()) == ("beta", "Bob")


def test_form_of_another_site_is_not_kept(strict_browser):
    headers = {"Origin": "https://evil.example"}
    page = strict_browser.post("/accounts/-/new/", {"name": "evil"}, headers=headers)
    assert (page.status_code, unsent.COOKIE in page.cookies) == (403, False)


def test_form_of_another_site_is_not_kept_without_a_code(strict_browser):
    set_up_second_factor(User.objects.get())
    headers = {"Origin": "https://evil.example"}
    page = strict_browser.post("/accounts/-/new/", {"name": "evil"}, headers=headers)
    assert (page.status_code, unsent.COOKIE in page.cookies) == (403, False)


def test_second_tab_signs_in(strict_browser):
    typed = LOGIN | {"csrfmiddlewaretoken": strict_browser.old_token, "next": "/accounts/"}
    answer = strict_browser.post("/sign-in/", typed)
    assert (answer.status_code, answer.url) == (302, "/accounts/")


def test_second_tab_with_another_login_says_who_is_signed_in(strict_browser):
    typed = {"username": "hugo", "csrfmiddlewaretoken": strict_browser.old_token}
    page = strict_browser.post("/sign-in/", typed | {"next": "//evil.example"})
    assert page.status_code == 403
    assert "“rosa” has signed in since, in another tab." in get_text(page)
    assert '<a href="/">' in page.text
    assert page.context["form"]["username"].value() == "hugo"


def test_old_sign_in_page_works_the_second_time(strict_browser):
    token = {"csrfmiddlewaretoken": strict_browser.cookies["csrftoken"].value}
    strict_browser.post("/sign-out/", token)
    typed = LOGIN | {"csrfmiddlewaretoken": strict_browser.old_token, "next": "/accounts/"}
    page = strict_browser.post("/sign-in/", typed)
    assert "This form is too old to send" in get_text(page)
    assert page.context["form"]["username"].value() == "rosa"
    typed |= {"csrfmiddlewaretoken": strict_browser.cookies["csrftoken"].value}
    assert strict_browser.post("/sign-in/", typed).url == "/accounts/"
