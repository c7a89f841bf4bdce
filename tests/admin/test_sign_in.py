import pytest
from django.contrib.auth.models import User

from tests.admin.browser import Browser, address, log, staff_who_may

PAGES = [
    f"{model}_{page}"
    for model in ("account", "apicredential", "mailbox", "emailrecipient")
    for page in ("changelist", "add")
]


@pytest.mark.parametrize("page", PAGES)
def test_staff_open_every_page(staff, page):
    assert staff.open(page).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_a_visitor_is_sent_to_the_consoles_sign_in(visitor, page):
    answer = visitor.get(visitor.open(page).url)
    assert answer.url == f"/sign-in/?next={address(page)}"


def test_the_admin_has_no_door_of_its_own(visitor, staff):
    User.objects.create_superuser("eve", password="correct horse")
    answer = visitor.post("/admin/login/", {"username": "eve", "password": "correct horse"})
    assert answer.url == "/sign-in/"
    assert visitor.get("/admin/").status_code == 302
    assert staff.get("/admin/password_change/").url == "/me/password/"


def test_who_signs_in_comes_to_the_page_that_was_asked_for(visitor, db):
    User.objects.create_superuser("eve", password="correct horse")
    page = visitor.get("/admin/mailboxes/mailbox/?q=x", follow=True)
    form = {"username": "eve", "password": "correct horse", "next": page.context["next"]}
    assert visitor.post("/sign-in/", form).url == "/admin/mailboxes/mailbox/?q=x"


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.django_db
def test_staff_without_permission_are_refused(page):
    assert staff_who_may().open(page).status_code == 403


def test_staff_see_only_what_they_may(mailbox):
    bob = staff_who_may("view_mailbox")
    assert bob.open("mailbox_changelist").status_code == 200
    assert bob.press("mailbox_change", mailbox.pk, name="Support").status_code == 403
    assert bob.open("mailbox_delete", mailbox.pk).status_code == 403
    assert log() == []


def test_users_and_groups(staff):
    assert staff.get("/admin/auth/user/").status_code == 200
    assert staff.get("/admin/auth/group/").status_code == 200


def test_branding(staff):
    page = staff.get("/admin/")
    assert "Mailbox service" in page.text
    assert "css/admin.css" in page.text


def test_forgery_is_refused(staff, mailbox):
    forger = Browser(enforce_csrf_checks=True, SERVER_NAME="localhost")
    forger.cookies = staff.cookies
    assert forger.press("mailbox_pass_code", mailbox.pk).status_code == 403
    assert forger.press("mailbox_delete", mailbox.pk, post="yes").status_code == 403
    assert log() == []
