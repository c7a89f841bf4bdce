from django.contrib.auth.models import User

PAGES = [
    f"{model}_{page}"
    for model in ("account", "apicredential", "mailbox", "emailrecipient")
    for page in ("changelist", "add")
]


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


def test_users_and_groups(staff):
    assert staff.get("/admin/auth/user/").status_code == 200
    assert staff.get("/admin/auth/group/").status_code == 200


def test_branding(staff):
    page = staff.get("/admin/")
    assert "Mailbox service" in page.text
    assert "css/admin.css" in page.text
