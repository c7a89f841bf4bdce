"""Fixtures of the CSV tests: a user and a mailbox."""

import pytest
from django.contrib.auth.models import User

from mailboxes.models import Mailbox


@pytest.fixture
def rosa(db):
    return User.objects.create_user("rosa")


@pytest.fixture
def sales(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales", password="0830", beep=False)
    for address in ("pete@acme.example", "mary@acme.example"):
        mailbox.add_recipient(address)
    return mailbox
