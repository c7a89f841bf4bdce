"""Fixtures of the tests of tasks and mails."""

import pytest

from mailboxes.models import Mailbox
from tests.delivery.smtp import Mailman


@pytest.fixture
def path(tmp_path):
    """The file that the tasks of tests write to."""
    return str(tmp_path / "lines")


@pytest.fixture
def mail_server(settings):
    """Run a mail server, and send mails to it."""
    with Mailman() as server:
        settings.SENDS_MAIL = True
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        yield server


@pytest.fixture
def mailbox(account):
    """Return a mailbox with two recipients."""
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    for name in ("ann", "bob"):
        mailbox.add_recipient(f"{name}@example.com")
    return mailbox
