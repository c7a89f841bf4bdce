import pytest
from django.contrib.auth.models import Group, User
from pytest_django.asserts import assertInHTML


@pytest.fixture
def hugo(client, db):
    user = User.objects.create_user("hugo", first_name="Hugo", last_name="Stamm", is_staff=True)
    user.groups.add(Group.objects.get(name="Support"))
    client.force_login(user)
    return user


def test_says_who_one_is(client, hugo):
    page = client.get("/me/").text
    for text in ("hugo", "Hugo Stamm", "Support"):
        assertInHTML(f"<dd>{text}</dd>", page)


def test_says_that_an_administrator_may_do_everything(client, hugo):
    User.objects.update(is_superuser=True)
    assert "Administrator: has all permissions" in client.get("/me/").text


def test_the_name_in_the_bar_leads_to_it(client, hugo):
    assertInHTML('<a class="user" href="/me/">hugo</a>', client.get("/docs/").text)


def test_who_is_not_staff_is_refused(client, hugo):
    User.objects.update(is_staff=False)
    page = client.get("/me/")
    assert page.status_code == 403
    assert 'href="/me/"' not in page.text


def test_takes_no_post(client, hugo):
    assert client.post("/me/").status_code == 405
