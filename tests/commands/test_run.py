"""The `run` command in an empty database; test_make_run.py tests the whole of `make run`."""

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
