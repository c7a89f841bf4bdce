"""The page of one's own login."""

import pytest
from django.contrib.auth.models import Group, User
from pytest_django.asserts import assertInHTML


@pytest.fixture
def hugo(client, db):
    user = User.objects.create_user("hugo", first_name="Hugo", last_name="Stamm", is_staff=True)
    user.groups.add(Group.objects.get(name="Support"))
    client.force_login(user)
    return user


def test_page_shows_name_and_groups(client, hugo):
    page = client.get("/me/").text
    for text in ("hugo", "Hugo Stamm", "Support"):
        assertInHTML(f"<dd>{text}</dd>", page)


def test_administrator_is_marked(client, hugo):
    User.objects.update(is_superuser=True)
    assert "Administrator: has all permissions" in client.get("/me/").text


def test_navigation_bar_links_to_the_page(client, hugo):
    assertInHTML('<a class="user" href="/me/">hugo</a>', client.get("/docs/").text)


def test_user_without_staff_status_is_refused(client, hugo):
    User.objects.update(is_staff=False)
    page = client.get("/me/")
    assert page.status_code == 403
    assert 'href="/me/"' not in page.text


def test_post_is_not_allowed(client, hugo):
    assert client.post("/me/").status_code == 405
