"""Change of one's own password."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

PAGE = "/me/password/"
OLD, NEW = "correct horse", "battery staple"
TYPED = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW}


@pytest.fixture
def rosa(db):
    return User.objects.create_user("rosa", password=OLD, is_staff=True)


@pytest.fixture
def browser(rosa):
    browser = Client()
    browser.force_login(rosa)
    return browser


def is_accepted(password):
    form = {"username": "rosa", "password": password}
    return Client().post("/sign-in/", form).status_code == 302


def test_new_password_replaces_the_old_one(browser):
    page = browser.post(PAGE, TYPED, follow=True)
    assert page.redirect_chain == [("/me/", 302)]
    assert "Your password was changed." in page.text
    assert LogEntry.objects.get().get_change_message() == "Password changed."
    assert (is_accepted(NEW), is_accepted(OLD)) == (True, False)


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"old_password": "wrong"}, "old_password", "Your old password was entered incorrectly."),
        ({"new_password2": "other"}, "new_password2", "The two password fields didn’t match."),
        ({"new_password1": "1234", "new_password2": "1234"}, "new_password2", "This password is"),
        ({"new_password1": "", "new_password2": ""}, "new_password1", "This field is required."),
        ({"new_password1": NEW + "\0"}, "new_password1", "Null characters are not allowed."),
    ],
)
def test_invalid_input_is_explained_at_the_field(browser, typed, field, sentence):
    page = browser.post(PAGE, TYPED | typed)
    assert sentence in page.context["form"].errors[field][0]
    assert f'id="id_{field}_error"' in page.text
    assert is_accepted(OLD)


def test_password_is_in_no_response(browser):
    assert NEW not in browser.post(PAGE, TYPED | {"old_password": "wrong"}).text
    assert NEW not in browser.post(PAGE, TYPED, follow=True).text


def test_page_explains_the_password_rules(browser):
    assert "Your password must contain at least 8 characters." in browser.get(PAGE).text
