"""Staff are added, changed, locked and unlocked in the console."""

import logging
import re

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.test import Client

from mailboxes.monitoring.logs import TextFormatter
from mailboxes.staff import users
from mailboxes.staff.forms import ChangePasswordForm, FirstPasswordForm
from tests.authenticator import set_up_second_factor
from tests.console.conftest import sign_in, sign_in_member_of
from tests.console.pages import get_errors, get_form_values, get_text, read_log

PASSWORD = "battery staple"
ACTIONS = ["edit", "lock", "unlock", "password-link", "second-factor"]


@pytest.fixture
def rosa(db):
    user = User.objects.create_user("rosa", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="Support"))
    return user


def press(browser, action, user, **form):
    return browser.post(f"/staff/{user.pk}/{action}/", form, follow=True)


def try_password(username, password, **headers):
    browser = Client(headers=headers)
    browser.post("/sign-in/", {"username": username, "password": password})
    return browser


def is_signed_in(browser):
    return browser.get("/me/").status_code == 200


def find_link(page):
    return re.search(r"http://testserver(/sign-in/password/[^<]+)<", page.text)[1]


def set_password(link, password):
    browser = Client()
    page = browser.get(link, follow=True)
    form = {"new_password1": password, "new_password2": password}
    return browser.post(page.redirect_chain[-1][0], form, follow=True)


# --- List -----------------------------------------------------------------------


def test_list_shows_groups_second_factor_and_state(manager, rosa):
    set_up_second_factor(rosa)
    User.objects.create_user("carla", is_staff=True, is_active=False)
    User.objects.create_user("visitor")
    AccessAttempt.objects.create(username="manager", ip_address="192.0.2.1", failures_since_start=5)
    page = get_text(manager.get("/staff/"))
    assert "rosa — Support never on Active" in page
    assert "carla — — never off Locked" in page
    assert "Manager" in page
    assert "off Locked out" in page
    assert "visitor" not in page


def test_menu_entry_needs_the_permission(manager, support, rosa):
    assert 'href="/staff/"' in manager.get("/").text
    assert 'href="/staff/"' not in support.get("/").text
    assert support.get("/staff/").status_code == 403


def test_list_makes_few_queries(manager, rosa, django_assert_max_num_queries):
    for number in range(20):
        user = User.objects.create_user(f"user-{number}", is_staff=True)
        user.groups.add(*Group.objects.all())
    with django_assert_max_num_queries(12):
        manager.get("/staff/")


# --- Add and change ----------------------------------------------------------------


def test_names_that_show_nothing_are_refused(manager):
    page = manager.post("/staff/new/", {"username": "\u3164", "first_name": "\u200b"})
    errors = get_errors(page)
    assert errors.keys() == {"username", "first_name"}
    assert "Use at least one visible character." in errors["first_name"]
    assert not User.objects.filter(username="\u3164")


def test_new_login_sets_its_password_with_the_link(manager, caplog):
    form = {"username": "rosa", "first_name": "Rosa", "groups": ["Viewer", "Support"]}
    with caplog.at_level(logging.INFO):
        page = manager.post("/staff/new/", form)
        link = find_link(page)
        answer = set_password(link, PASSWORD)
    assert answer.redirect_chain[-1][0] == "/sign-in/"
    assert "Your password is set." in answer.text
    rosa = User.objects.get(username="rosa")
    assert (rosa.is_staff, rosa.is_superuser, rosa.groups.count()) == (True, False, 2)
    assert is_signed_in(try_password("rosa", PASSWORD))
    assert read_log() == [
        (
            "manager",
            "rosa",
            "Login created. Username: rosa. First name: Rosa. Groups: Viewer, Support.",
        ),
        ("rosa", "rosa", "Password set with the link."),
    ]
    assert "Groups: Viewer, Support." in manager.get(f"/staff/{rosa.pk}/").text
    log = "".join(map(TextFormatter().format, caplog.records))
    assert "/sign-in/password/" in log
    assert link.split("/")[-2] not in log + manager.get(f"/staff/{rosa.pk}/").text


def test_link_works_once_and_ends_the_lock_out_and_the_old_password(manager, rosa):
    link = find_link(press(manager, "password-link", rosa))
    browser = try_password("rosa", PASSWORD)
    link = find_link(press(manager, "password-link", rosa))  # the sign-in ended the first link
    for _ in range(5):
        try_password("rosa", "wrong")
    set_password(link, "another horse")
    assert not is_signed_in(browser)
    assert not is_signed_in(try_password("rosa", PASSWORD))
    assert is_signed_in(try_password("rosa", "another horse"))
    page = Client().get(link, follow=True)
    assert "This link does not work any more" in page.text


@pytest.mark.parametrize(
    ("form", "field", "sentence"),
    [
        ({"username": "ROSA"}, "username", "A user with that username already exists."),
        ({"username": "no spaces"}, "username", "Enter a valid username."),
        ({"username": "a\0"}, "username", "Null characters are not allowed."),
        ({"username": "hugo", "groups": ["Owner"]}, "groups", "Owner is not one of the available"),
        ({"username": "hugo", "groups": ["a\0"]}, "groups", "is not one of the available"),
    ],
)
def test_invalid_login_is_explained_at_the_field(manager, rosa, form, field, sentence):
    form |= {"csrfmiddlewaretoken": "x"}  # as a page sends it, so that a double click is noticed
    assert sentence in get_errors(manager.post("/staff/new/", form))[field][0]
    assert User.objects.count() == 2


def test_groups_are_changed_at_once_and_logged(manager, rosa):
    browser = sign_in(rosa)
    page = press(manager, "edit", rosa, groups=["Viewer", "Manager"], last_name="Ruiz")
    assert "rosa was changed." in page.text
    assert browser.get("/accounts/-/new/").status_code == 200
    assert read_log() == [
        (
            "manager",
            "rosa",
            "Last name added: Ruiz. Groups changed from Support to Viewer, Manager.",
        ),
    ]


@pytest.mark.parametrize("before", [["Support"], []])
def test_groups_changed_meanwhile_are_replaced_by_the_second_save_only(manager, rosa, before):
    rosa.groups.set(Group.objects.filter(name__in=before))
    page = manager.get(f"/staff/{rosa.pk}/edit/")
    typed = get_form_values(page) | {"groups": ["Viewer"], "last_name": "Ruiz"}
    rosa.groups.set(Group.objects.filter(name__in=["Support", "Manager"]))
    page = press(manager, "edit", rosa, **typed)
    [error] = get_errors(page).pop("groups")
    assert error.startswith("This was changed to “")
    assert "Manager" in error
    rosa.refresh_from_db()
    assert (rosa.last_name, rosa.groups.count()) == ("", 2)
    page = press(manager, "edit", rosa, **get_form_values(page))
    assert "rosa was changed." in page.text
    assert [group.name for group in rosa.groups.all()] == ["Viewer"]


def test_groups_changed_meanwhile_are_kept_with_another_name(manager, rosa):
    typed = get_form_values(manager.get(f"/staff/{rosa.pk}/edit/")) | {"first_name": "Rosa"}
    rosa.groups.set(Group.objects.filter(name="Manager"))
    User.objects.filter(pk=rosa.pk).update(last_name="Ruiz")
    press(manager, "edit", rosa, **typed)
    rosa.refresh_from_db()
    assert rosa.get_full_name() == "Rosa Ruiz"
    assert [group.name for group in rosa.groups.all()] == ["Manager"]
    assert read_log() == [("manager", "rosa", "First name added: Rosa.")]


# --- Lock and unlock ------------------------------------------------------------------


def test_lock_ends_sessions_for_good_and_unlock_accepts_the_password(manager, rosa):
    browser = try_password("rosa", PASSWORD)
    assert "rosa is locked and signed out." in press(manager, "lock", rosa).text
    assert not is_signed_in(browser)
    for _ in range(5):
        assert not is_signed_in(try_password("rosa", PASSWORD))
    assert "rosa is unlocked" in press(manager, "unlock", rosa).text
    assert not is_signed_in(browser)
    assert is_signed_in(manager)
    assert is_signed_in(try_password("rosa", PASSWORD))
    assert read_log() == [
        ("manager", "rosa", "Login locked."),
        ("manager", "rosa", "Login unlocked."),
    ]


def test_unlock_ends_a_lock_out_by_wrong_passwords(manager, rosa):
    for _ in range(5):
        try_password("rosa", "wrong")
    assert "after too many wrong passwords" in manager.get(f"/staff/{rosa.pk}/").text
    press(manager, "unlock", rosa)
    assert is_signed_in(try_password("rosa", PASSWORD))


def test_lost_second_factor_is_turned_off(manager, rosa):
    set_up_second_factor(rosa)
    browser = try_password("rosa", PASSWORD)
    assert not is_signed_in(browser)
    assert "The second factor of rosa is off." in press(manager, "second-factor", rosa).text
    assert is_signed_in(browser)
    assert read_log() == [("manager", "rosa", "Second factor turned off.")]


@pytest.mark.parametrize("form_class", [ChangePasswordForm, FirstPasswordForm])
def test_new_password_does_not_undo_a_lock_meanwhile(manager, rosa, form_class):
    typed = {"old_password": PASSWORD, "new_password1": "x" * 9, "new_password2": "x" * 9}
    form = form_class(rosa, typed)
    assert form.is_valid()
    press(manager, "lock", rosa)
    form.save()
    rosa = User.objects.get(pk=rosa.pk)
    assert (rosa.is_active, rosa.check_password("x" * 9)) == (False, True)


# --- Limits of a Manager -------------------------------------------------------------------


@pytest.fixture
def locked_owner(db):
    """A locked user with one permission that no group has."""
    user = User.objects.create_user("owner", is_staff=True, is_active=False)
    user.user_permissions.add(Permission.objects.get(codename="delete_apicredential"))
    return user


@pytest.fixture
def administrator(db):
    return User.objects.create_superuser("ada")


def test_manager_cannot_change_their_own_login_or_one_with_more_permissions(
    manager, administrator, locked_owner
):
    for user in (administrator, locked_owner, manager.user):
        page = manager.get(f"/staff/{user.pk}/").text
        for action in ACTIONS:
            assert manager.post(f"/staff/{user.pk}/{action}/").status_code == 403
            assert f"/staff/{user.pk}/{action}/" not in page
    assert read_log() == []
    assert set(User.objects.filter(is_active=True)) == {manager.user, administrator}


def test_manager_cannot_give_a_permission_that_the_manager_lacks(manager, rosa):
    owners = Group.objects.create(name="Owners")
    owners.permissions.add(Permission.objects.get(codename="delete_apicredential"))
    assert "Owners" not in manager.get(f"/staff/{rosa.pk}/edit/").text
    assert "groups" in get_errors(press(manager, "edit", rosa, groups=["Owners"]))
    press(manager, "edit", rosa, groups=["Viewer"], is_superuser="on", is_active="", is_staff="")
    rosa = User.objects.get(pk=rosa.pk)
    assert (rosa.is_superuser, rosa.is_active, rosa.is_staff) == (False, True, True)


def test_managers_cannot_lock_one_another_at_the_same_time(manager, administrator):
    other = User.objects.create_user("other", is_staff=True)
    other.groups.add(Group.objects.get(name="Manager"))
    users.lock(User.objects.get(pk=manager.user.pk))
    with pytest.raises(PermissionDenied):
        users.lock_managers(manager.user)  # read before the lock
    users.lock_managers(other)


def test_administrator_may_lock_another_login_but_not_their_own(administrator):
    browser, other = sign_in(administrator), User.objects.create_superuser("eve")
    assert press(browser, "lock", administrator).status_code == 403
    press(browser, "lock", other)
    assert list(User.objects.filter(is_active=True)) == [administrator]


def test_viewing_staff_does_not_allow_changes(db, rosa):
    hugo = sign_in_member_of("Viewer")
    hugo.user.user_permissions.add(Permission.objects.get(codename="view_user"))
    assert "New login" not in hugo.get("/staff/").text
    assert hugo.get(f"/staff/{rosa.pk}/").status_code == 200
    assert press(hugo, "lock", rosa).status_code == 403


# --- The same rules in the admin -------------------------------------------------------------


def test_lock_in_the_admin_ends_sessions_and_own_login_cannot_be_locked(administrator, rosa):
    browser = sign_in(administrator)
    locked = try_password("rosa", PASSWORD)
    form = {"username": "rosa", "is_staff": "on", "date_joined_0": "2026-01-01"}
    form |= {"date_joined_1": "00:00"}
    assert browser.post(f"/admin/auth/user/{rosa.pk}/change/", form).status_code == 302
    assert not is_signed_in(locked)
    assert Session.objects.count() == 1
    browser.post(f"/admin/auth/user/{administrator.pk}/change/", form | {"username": "ada"})
    assert browser.get("/admin/").status_code == 200
    delete = f"/admin/auth/user/{administrator.pk}/delete/"
    assert browser.post(delete, {"post": "yes"}).status_code == 403
