"""The `run` command in an empty database; test_make_run.py tests the whole of `make run`."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User

from mailboxes.management.commands import run
from mailboxes.models import Account, ApiCredential


@pytest.mark.django_db
def test_unfinished_demo_is_rolled_back_and_made_again(tmp_path, monkeypatch):
    """Otherwise the next start would find the data, and no login for it."""
    monkeypatch.setattr(run, "LOGINS", tmp_path / "demo.curl")
    run.LOGINS.mkdir()
    with pytest.raises(IsADirectoryError):
        run.Command().create_demo()
    assert not Account.objects.exists()
    assert not User.objects.exists()
    run.LOGINS.rmdir()
    run.Command().create_demo()
    assert "staff login: demo / " in run.LOGINS.read_text()
    assert Account.objects.exists()
    assert ApiCredential.history.get().history_user == User.objects.get()


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        ({}, "none are sent (set EMAIL_URL, see .env.example)"),
        ({"EMAIL_FILE_PATH": Path("/tmp/mail")}, "are written to /tmp/mail/"),
        ({"EMAIL_HOST": "mail.test"}, "are sent to mail.test"),
    ],
)
def test_start_says_where_mails_go(settings, server, shown):
    settings.MAIL_SERVER, settings.SENDS_MAIL = server, bool(server)
    settings.EMAIL_HOST = server.get("EMAIL_HOST", "localhost")
    assert run.describe_mail_server() == shown
