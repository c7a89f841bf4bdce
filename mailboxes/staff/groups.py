"""Groups of staff. Each has the permissions of the one before, and more."""

from django.contrib.auth.models import Group, Permission
from django.utils.translation import gettext_lazy as _

GROUPS = {
    "Viewer": [
        f"view_{model}"
        for model in ("account", "apicredential", "emailrecipient", "mailbox", "message", "sound")
    ],
    "Support": [
        *(
            f"{verb}_{model}"
            for model in ("mailbox", "emailrecipient", "sound")
            for verb in ("add", "change", "delete")
        ),
        "change_message",
        "delete_message",
    ],
    "Manager": [
        *(
            f"{verb}_{model}"
            for model in ("account", "apicredential")
            for verb in ("add", "change")
        ),
        *(f"{verb}_user" for verb in ("view", "add", "change")),
        *(f"{verb}_webhookendpoint" for verb in ("view", "add", "change", "delete")),
        "delete_account",
        "listen_to_message",
        "view_dbtaskresult",
        "change_dbtaskresult",
    ],
}

APPS = ["auth", "django_tasks_database", "mailboxes"]

DESCRIPTIONS = {
    "Viewer": _(
        "sees mailboxes, accounts, credentials and greetings, and which messages there are, but not "
        "what callers say; pass codes stay masked"
    ),
    "Support": _(
        "also adds, changes, deletes and restores mailboxes, their recipients and greetings, sees and "
        "sets pass codes, and marks, deletes and restores messages"
    ),
    "Manager": _(
        "also listens to messages and reads them, adds and changes accounts, API credentials, "
        "webhooks and staff, deletes accounts that are not in use, and tries failed tasks again"
    ),
}


def update_groups(sender, using, **kwargs):
    """Create the groups after a migration, and reset their permissions."""
    codenames = []
    for name, more in GROUPS.items():
        codenames += more
        group, _ = Group.objects.using(using).get_or_create(name=name)
        group.permissions.set(
            Permission.objects.using(using).filter(
                content_type__app_label__in=APPS, codename__in=codenames
            )
        )
