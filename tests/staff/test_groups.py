"""What each group of staff may do, after any migration."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def may(group):
    return set(Group.objects.get(name=group).permissions.values_list("codename", flat=True))


def test_viewer_looks_only():
    assert may("Viewer") == {
        "view_account",
        "view_apicredential",
        "view_emailrecipient",
        "view_mailbox",
    }


def test_support_may_change_mailboxes_and_recipients_too():
    assert may("Support") - may("Viewer") == {
        f"{verb}_{model}"
        for verb in ("add", "change", "delete")
        for model in ("mailbox", "emailrecipient")
    }


def test_manager_may_change_accounts_and_credentials_too():
    assert may("Manager") - may("Support") == {
        f"{verb}_{model}" for verb in ("add", "change") for model in ("account", "apicredential")
    }


def test_a_migration_gives_back_what_they_may():
    viewer = Group.objects.get(name="Viewer")
    viewer.permissions.set([Permission.objects.get(codename="delete_mailbox")])
    Group.objects.get(name="Support").delete()
    call_command("migrate", verbosity=0)
    assert may("Viewer") < may("Support") < may("Manager")
    assert "delete_mailbox" not in may("Viewer")
