import pytest

from tests.admin.browser import Browser, log, staff_who_may

PAGES = [
    f"{model}_{page}"
    for model in ("account", "apicredential", "mailbox", "emailrecipient")
    for page in ("changelist", "add")
]


@pytest.mark.parametrize("page", PAGES)
def test_staff_open_every_page(staff, page):
    assert staff.open(page).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_a_visitor_is_sent_to_sign_in(visitor, page):
    answer = visitor.open(page)
    assert (answer.status_code, answer.url.split("?")[0]) == (302, "/admin/login/")


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


def test_branding(visitor, staff):
    for page in (visitor.get("/admin/login/"), staff.get("/admin/")):
        assert "Mailbox service" in page.text
        assert "css/admin.css" in page.text


def test_forgery_is_refused(staff, mailbox):
    forger = Browser(enforce_csrf_checks=True, SERVER_NAME="localhost")
    forger.cookies = staff.cookies
    assert forger.press("mailbox_pass_code", mailbox.pk).status_code == 403
    assert forger.press("mailbox_delete", mailbox.pk, post="yes").status_code == 403
    assert log() == []
