"""Sign in to the admin."""

from django.contrib.auth.models import Group, User

from mailboxes.history import DOWNLOADED, HEARD, READ, record_access
from tests.admin.browser import sign_in
from tests.messages import leave_message

PAGES = [
    f"{model}_{page}"
    for model in ("account", "apicredential", "mailbox", "emailrecipient")
    for page in ("changelist", "add")
]


def test_admin_login_is_the_console_sign_in(visitor, staff):
    User.objects.create_superuser("eve", password="correct horse")
    answer = visitor.post("/admin/login/", {"username": "eve", "password": "correct horse"})
    assert answer.url == "/sign-in/"
    assert visitor.get("/admin/").status_code == 302
    assert staff.get("/admin/password_change/").url == "/me/password/"


def test_sign_in_redirects_to_the_requested_page(visitor, db):
    User.objects.create_superuser("eve", password="correct horse")
    page = visitor.get("/admin/mailboxes/mailbox/?q=x", follow=True)
    form = {"username": "eve", "password": "correct horse", "next": page.context["next"]}
    assert visitor.post("/sign-in/", form).url == "/admin/mailboxes/mailbox/?q=x"


def test_manager_is_asked_for_another_login(db):
    manager = User.objects.create_user("mia", is_staff=True)
    manager.groups.add(Group.objects.get(name="Manager"))
    browser = sign_in(manager)
    assert "Administration" not in browser.get("/").text
    for path in ("/admin/", "/admin/mailboxes/mailbox/", "/admin/auth/user/"):
        assert browser.get(path).url == f"/admin/login/?next={path}"


def test_index_page_is_for_administrators_and_names_its_parts(staff):
    page = staff.get("/admin/").text
    assert "These pages are for administrators only." in page
    parts = ["Failed sign-ins", "Authenticator apps", "Recovery codes", "Mailbox service"]
    assert [part for part in parts if f">{part}<" not in "".join(page.split("\n"))] == []


def test_recent_actions_list_changes_only(staff, mailbox):
    user = User.objects.get()
    message = leave_message(mailbox, "Ann Smith")
    for kind in (HEARD, READ, DOWNLOADED):
        record_access(kind, [message], user)
    staff.press("mailbox_pass_code", mailbox.pk)
    assert "None available" in staff.get("/admin/").text
    staff.save("mailbox_change", mailbox.pk, name="Support")
    assert staff.get("/admin/").text.count("Changed:") == 1


def test_users_and_groups_are_listed(staff):
    assert staff.get("/admin/auth/user/").status_code == 200
    assert staff.get("/admin/auth/group/").status_code == 200


def test_index_page_has_the_site_name(staff):
    page = staff.get("/admin/")
    assert "Mailbox service" in page.text
    assert "css/admin.css" in page.text
