"""Permissions of each staff group, which each migration restores."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def get_permissions(group):
    return set(Group.objects.get(name=group).permissions.values_list("codename", flat=True))


def test_viewer_may_only_view():
    assert get_permissions("Viewer") == {
        "view_account",
        "view_apicredential",
        "view_emailrecipient",
        "view_mailbox",
        "view_message",
        "view_sound",
    }


def test_support_may_also_change_mailboxes_recipients_messages_and_sounds():
    changes = {
        f"{verb}_{model}"
        for verb in ("add", "change", "delete")
        for model in ("mailbox", "emailrecipient", "message", "sound")
    }
    added = get_permissions("Support") - get_permissions("Viewer")
    assert added == changes - {"add_message"}  # only callers leave messages


def test_manager_may_also_listen_try_tasks_again_and_change_accounts_staff_and_webhooks():
    models = ("account", "apicredential", "user", "webhookendpoint")
    assert get_permissions("Manager") - get_permissions("Support") == {
        "delete_account",
        "listen_to_message",
        "view_dbtaskresult",
        "change_dbtaskresult",
        "view_user",
        "view_webhookendpoint",
        "delete_webhookendpoint",
        *(f"{verb}_{model}" for verb in ("add", "change") for model in models),
    }


def test_migration_restores_the_permissions():
    viewer = Group.objects.get(name="Viewer")
    viewer.permissions.set([Permission.objects.get(codename="delete_mailbox")])
    Group.objects.get(name="Support").delete()
    call_command("migrate", verbosity=0)
    assert get_permissions("Viewer") < get_permissions("Support") < get_permissions("Manager")
    assert "delete_mailbox" not in get_permissions("Viewer")
