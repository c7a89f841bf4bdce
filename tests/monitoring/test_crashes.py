"""A crash during encryption: the log has the traceback, and nothing reveals the code."""

import logging

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mailboxes.encryption import KeyRing
from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.service import shows

CODE = "4829"
API, CONSOLE, ADMIN = "/voip/mailbox", "/mailboxes/new/", "/admin/mailboxes/mailbox/add/"


@pytest.fixture
def _broken_encryption(monkeypatch, settings):
    """Encryption fails, and there is an administrator who could be sent a mail."""

    def encrypt(ring, text, owner):
        raise RuntimeError("out of order")

    monkeypatch.setattr(KeyRing, "encrypt", encrypt)
    settings.ADMINS = [("Ada", "ada@acme.example")]


@pytest.fixture
def create(account):
    """A function that posts a new mailbox to a path, with a credential or a login."""
    staff = Client(raise_request_exception=False)
    staff.force_login(User.objects.create_superuser("ada"))
    as_program = {"content_type": "application/json", "headers": headers_for(account)}

    def create(path):
        value = account.pk if path == ADMIN else account.name
        fields = {"account": value, "name": "Sales", "password": CODE}
        return staff.post(path, fields, **(as_program if path == API else {}))

    return create


@pytest.mark.usefixtures("_broken_encryption")
@pytest.mark.parametrize("path", [API, CONSOLE, ADMIN])
def test_pass_code_is_not_in_answer_log_or_mail(create, path, caplog, mailoutbox):
    with caplog.at_level(logging.DEBUG):
        response = create(path)
    assert response.status_code == 500
    assert "RuntimeError: out of order" in caplog.text
    assert not shows(response.content.decode() + caplog.text, CODE)
    assert "out of order" not in response.content.decode()
    assert mailoutbox == []
    assert not Mailbox.objects.exists()
