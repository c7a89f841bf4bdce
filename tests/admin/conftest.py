"""Users of the admin, and a mailbox."""

import pytest
from django.contrib.auth.models import User

from mailboxes.models import ApiCredential, Mailbox
from tests.admin.browser import Browser, sign_in


@pytest.fixture
def staff(db):
    """Return a browser in which a superuser is signed in."""
    return sign_in(User.objects.create_superuser("ada"))


@pytest.fixture
def visitor(db):
    return Browser(SERVER_NAME="localhost")


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales", password="0007")


@pytest.fixture
def credential(account):
    credential, _ = ApiCredential.objects.issue(account, "api")
    return credential
