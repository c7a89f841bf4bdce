"""Fixtures: telephone engines of the account `acme`, and a mailbox for them to look up."""

import pytest

from mailboxes.models import Mailbox
from tests.engines.engine import Asterisk, FreeSWITCH, engine_headers
from tests.engines.sound import GREETING, write_tone


@pytest.fixture
def mailbox(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales", password="4829")
    mailbox.add_recipient("ann@acme.example")
    mailbox.add_recipient("bob@acme.example")
    return mailbox


@pytest.fixture
def asterisk(account):
    return Asterisk(engine_headers(account))


@pytest.fixture
def freeswitch(account):
    return FreeSWITCH(engine_headers(account))


@pytest.fixture
def sounds_folder(settings, tmp_path):
    """Return the folder of recordings, with one file in it."""
    settings.SOUNDS_DIR = tmp_path
    write_tone(tmp_path / f"{GREETING}.wav", 660, seconds=1)
    return tmp_path


@pytest.fixture
def greeted_mailbox(mailbox):
    """Return the mailbox, with the recording as its greeting."""
    mailbox.greeting = GREETING
    mailbox.save()
    return mailbox
