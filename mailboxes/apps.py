"""The app's configuration."""

from django.apps import AppConfig
from django.core.management.base import CommandError
from django.db.models.signals import post_migrate, post_save, pre_migrate


class MailboxesConfig(AppConfig):
    name = "mailboxes"
    verbose_name = "Mailbox service"

    def ready(self):
        from django.contrib.auth.models import User

        import mailboxes.checks
        import mailboxes.delivery.receivers  # noqa: F401  connects the signals
        from mailboxes.models.second_factor import encrypt_plain_secrets
        from mailboxes.staff.groups import update_groups
        from mailboxes.staff.sessions import end_sessions

        pre_migrate.connect(refuse_to_go_back, sender=self)
        # Runs after Django's own receiver, which creates the permissions.
        post_migrate.connect(update_groups, sender=self)
        post_migrate.connect(encrypt_plain_secrets, sender=self)
        post_save.connect(end_sessions, sender=User)


def refuse_to_go_back(plan, **kwargs) -> None:
    """Raise CommandError if `migrate` would undo migrations. Nothing has been undone yet."""
    undone = [migration for migration, is_backwards in plan if is_backwards]
    if undone:
        raise CommandError(
            f"{undone[0]} cannot be undone: going back would lose data, or give credentials more "
            "rights. Restore a backup that the older version made."
        )
