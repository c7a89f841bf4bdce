"""The pages of staff in a real browser."""

import pytest
from django.contrib.auth.models import Group, User
from playwright.sync_api import expect

from tests.authenticator import set_up_second_factor
from tests.browser.conftest import assert_accessible, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def test_manager_adds_locks_and_unlocks_a_login(page):
    sign_in(page, "mia", "Manager", first_name="Mia", last_name="W" * 150)
    page.get_by_role("link", name="Staff").click()
    assert_accessible(page)
    page.get_by_role("link", name="New login").click()
    page.get_by_label("Username").fill("mia")
    page.get_by_role("button", name="Create the login").click()
    expect(page.get_by_text("A user with that username already exists.")).to_be_visible()
    assert_accessible(page)
    page.get_by_label("Username").fill("rosa")
    page.get_by_label("Support: also adds, changes").check()
    page.get_by_role("button", name="Create the login").click()
    link = page.locator("#link").text_content()
    assert_accessible(page)
    page.get_by_role("link", name="I have copied it").click()

    page.goto(link)
    assert_accessible(page)
    page.get_by_label("New password", exact=True).fill("battery staple")
    page.get_by_label("New password confirmation").fill("battery staple")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("Your password is set.")).to_be_visible()
    page.goto(link)
    assert_accessible(page)

    rosa = User.objects.get(username="rosa")
    set_up_second_factor(rosa)
    page.goto(f"/staff/{rosa.pk}/")
    page.get_by_role("link", name="Lock").click()
    assert_accessible(page)
    page.get_by_role("button", name="Lock the login").click()
    assert_accessible(page)
    page.get_by_role("button", name="Unlock").click()
    page.get_by_role("link", name="Turn it off").click()
    assert_accessible(page)
    page.get_by_role("button", name="Turn it off").click()
    page.get_by_role("link", name="Edit").click()
    assert_accessible(page)
    page.get_by_label("Support: also adds, changes").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Groups removed: Support.")).to_be_visible()
    assert_accessible(page)
    assert list(Group.objects.filter(user=rosa)) == []
