"""Who may see the staff's pages, signed in."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client


def staff(*permissions):
    """A browser in which a member of staff with these permissions has signed in."""
    user = User.objects.create_user("rosa", password="correct horse", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def viewer(db):
    """May look, and no more."""
    return staff("view_mailbox")


@pytest.fixture
def editor(db):
    """May look, and change."""
    return staff("view_mailbox", "change_mailbox", "add_mailbox")
