"""A crash with a pass code in hand: the log has its stack, and nobody gets to see the code."""

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
def _faulty(monkeypatch, settings):
    """Every pass code that is to be sealed meets a fault; there are administrators to be mailed."""

    def encrypt(ring, text, owner):
        raise RuntimeError("out of order")

    monkeypatch.setattr(KeyRing, "encrypt", encrypt)
    settings.ADMINS = [("Ada", "ada@acme.example")]


@pytest.fixture
def call(account):
    """Sends a new mailbox to the address, as whoever may make one there."""
    staff = Client(raise_request_exception=False)
    staff.force_login(User.objects.create_superuser("ada"))
    as_program = {"content_type": "application/json", "headers": headers_for(account)}

    def call(address):
        named = account.pk if address == ADMIN else account.name
        typed = {"account": named, "name": "Sales", "password": CODE}
        return staff.post(address, typed, **(as_program if address == API else {}))

    return call


@pytest.mark.usefixtures("_faulty")
@pytest.mark.parametrize("address", [API, CONSOLE, ADMIN])
def test_neither_answer_nor_log_nor_mail_tells_the_pass_code(call, address, caplog, mailoutbox):
    with caplog.at_level(logging.DEBUG):
        response = call(address)
    assert response.status_code == 500
    assert "RuntimeError: out of order" in caplog.text
    told = response.content.decode() + caplog.text
    assert not shows(told, CODE)
    assert "out of order" not in response.content.decode()
    assert mailoutbox == []
    assert not Mailbox.objects.exists()
