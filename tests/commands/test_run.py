"""What `run` makes in an empty database; the whole of `make run` is tried in test_make_run.py."""

import pytest
from django.contrib.auth.models import User

from mailboxes.management.commands import run
from mailboxes.models import Account


@pytest.mark.django_db
def test_a_demo_that_is_not_made_to_its_end_is_made_anew(tmp_path, monkeypatch):
    """Else its data would be there at the next start, and no login for it."""
    monkeypatch.setattr(run, "LOGINS", tmp_path / "demo.curl")
    run.LOGINS.mkdir()
    with pytest.raises(IsADirectoryError):
        run.Command().make_demo()
    assert not Account.objects.exists()
    assert not User.objects.exists()
    run.LOGINS.rmdir()
    run.Command().make_demo()
    assert "staff login: demo / " in run.LOGINS.read_text()
    assert Account.objects.exists()
