"""What is told of pass codes that no key at hand opens, before anybody calls."""

import base64
import secrets

import pytest
from django.core.management import call_command

from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.models import Mailbox
from tests.server import Server

KEY = secrets.token_bytes(KEY_BYTES)
LOST = KeyRing([KEY])


@pytest.fixture
def mailboxes(account):
    """One whose pass code opens, one whose key is gone, one that was never sealed, one without."""
    Mailbox.objects.create(account=account, name="Sales", password="4829")
    Mailbox.objects.create(account=account, name="Lobby")
    lost = Mailbox(account=account, name="Lost")
    lost.password_sealed = LOST.encrypt("8305", lost.owner)
    broken = Mailbox(account=account, name="Broken", password_sealed="8305")
    Mailbox.objects.bulk_create([lost, broken])


@pytest.mark.usefixtures("mailboxes")
def test_a_check_counts_them_by_key(capsys):
    call_command("check", databases=["default"])
    said = capsys.readouterr().err
    assert "PASS_CODE_KEYS decrypts 1 of 3 pass codes." in said
    assert f"1 with key {LOST.current}" in said
    assert "1 with key ?" in said
    assert "8305" not in said


@pytest.mark.usefixtures("mailboxes")
def test_no_check_without_a_database_asks_it(capsys, django_assert_num_queries):
    with django_assert_num_queries(0):
        call_command("check")
    assert "PASS_CODE_KEYS" not in capsys.readouterr().err


@pytest.mark.usefixtures("account")
def test_nothing_is_said_where_all_open(account, capsys):
    Mailbox.objects.create(account=account, name="Sales", password="4829")
    call_command("check", databases=["default"])
    assert "PASS_CODE_KEYS" not in capsys.readouterr().err


@pytest.mark.long
def test_the_server_says_so_at_its_start(databases):
    with Server(databases.copy(), PASS_CODE_KEYS=base64.b64encode(KEY).decode()) as server:
        lines = [line for line in server.output().splitlines() if "PASS_CODE_KEYS" in line]
    assert 1 <= len(lines) <= 2  # one of each worker that has started
    for line in lines:
        assert " ERROR mailboxes PASS_CODE_KEYS decrypts 0 of 20 pass codes. " in line


@pytest.mark.long
def test_the_server_starts_while_the_database_is_away():
    with Server("postgres://nobody@127.0.0.1:1/away") as server:
        assert "PASS_CODE_KEYS" not in server.output()
