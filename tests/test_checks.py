"""The check at start for pass codes that no key decrypts."""

import base64
import secrets

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from mailboxes.encryption import KEY_BYTES, KeyRing
from mailboxes.models import Mailbox
from tests.authenticator import set_up_second_factor
from tests.server import Server

KEY = secrets.token_bytes(KEY_BYTES)
LOST = KeyRing([KEY])


@pytest.fixture
def mailboxes(account):
    """Create mailboxes: readable, none, encrypted with a lost key, never encrypted."""
    Mailbox.objects.create(account=account, name="Sales", password="4829")
    Mailbox.objects.create(account=account, name="Lobby")
    lost = Mailbox(account=account, name="Lost")
    lost.password_sealed = LOST.encrypt("8305", lost.owner)
    broken = Mailbox(account=account, name="Broken", password_sealed="8305")
    Mailbox.objects.bulk_create([lost, broken])


@pytest.mark.usefixtures("mailboxes")
def test_unreadable_pass_codes_are_counted_by_key(capsys):
    call_command("check", databases=["default"])
    output = capsys.readouterr().err
    assert "PASS_CODE_KEYS decrypts 1 of 3 pass codes." in output
    assert f"1 with key {LOST.current}" in output
    assert "1 with key ?" in output
    assert "8305" not in output


def test_unreadable_second_factors_are_counted_by_key(db, settings, capsys):
    set_up_second_factor(User.objects.create_user("rosa"))
    lost, settings.PASS_CODE_KEYS = settings.PASS_CODE_KEYS.current, LOST
    call_command("check", databases=["default"])
    output = capsys.readouterr().err
    for text, count in (("authenticator keys", 1), ("recovery codes", 10)):
        assert f"PASS_CODE_KEYS decrypts 0 of {count} {text}. " in output
        assert f"{count} with key {lost}." in output


@pytest.mark.usefixtures("mailboxes")
def test_check_without_a_database_makes_no_query(capsys, django_assert_num_queries):
    with django_assert_num_queries(0):
        call_command("check")
    assert "PASS_CODE_KEYS" not in capsys.readouterr().err


@pytest.mark.usefixtures("account")
def test_check_is_silent_if_all_pass_codes_are_readable(account, capsys):
    Mailbox.objects.create(account=account, name="Sales", password="4829")
    call_command("check", databases=["default"])
    assert "PASS_CODE_KEYS" not in capsys.readouterr().err


@pytest.mark.long
def test_server_logs_unreadable_pass_codes_at_its_start(databases):
    with Server(databases.copy(), PASS_CODE_KEYS=base64.b64encode(KEY).decode()) as server:
        lines = [line for line in server.output().splitlines() if "PASS_CODE_KEYS" in line]
    assert 1 <= len(lines) <= 2  # one line for each worker that has started
    for line in lines:
        assert " ERROR mailboxes PASS_CODE_KEYS decrypts 0 of 20 pass codes. " in line


@pytest.mark.long
def test_server_starts_without_its_database():
    with Server("postgres://nobody@127.0.0.1:1/away") as server:
        assert "PASS_CODE_KEYS" not in server.output()
