"""The app's configuration."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class MailboxesConfig(AppConfig):
    name = "mailboxes"
    verbose_name = "Mailbox service"

    def ready(self):
        import mailboxes.checks  # noqa: F401  registers the checks
        from mailboxes.models.second_factor import encrypt_plain_secrets
        from mailboxes.staff.groups import update_groups

        # Runs after Django's own receiver, which creates the permissions.
        post_migrate.connect(update_groups, sender=self)
        post_migrate.connect(encrypt_plain_secrets, sender=self)
