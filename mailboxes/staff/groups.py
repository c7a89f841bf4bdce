"""The groups of staff: each may do what the one before it may, and more."""

from django.contrib.auth.models import Group, Permission

GROUPS = {
    "Viewer": ["view_account", "view_apicredential", "view_emailrecipient", "view_mailbox"],
    "Support": [
        f"{verb}_{model}"
        for model in ("mailbox", "emailrecipient")
        for verb in ("add", "change", "delete")
    ],
    "Manager": [
        f"{verb}_{model}" for model in ("account", "apicredential") for verb in ("add", "change")
    ],
}


def keep_groups(sender, using, **kwargs):
    """Make the groups after a migration, and give them back what they may do: no more and no less."""
    allowed = []
    for name, more in GROUPS.items():
        allowed += more
        group, _ = Group.objects.using(using).get_or_create(name=name)
        group.permissions.set(
            Permission.objects.using(using).filter(
                content_type__app_label=sender.label, codename__in=allowed
            )
        )
