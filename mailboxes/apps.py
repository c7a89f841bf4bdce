from django.apps import AppConfig
from django.db.models.signals import post_migrate


class MailboxesConfig(AppConfig):
    name = "mailboxes"
    verbose_name = "Mailbox service"

    def ready(self):
        import mailboxes.checks  # noqa: F401  registered there
        from mailboxes.staff.groups import keep_groups

        # After Django's own receiver, which makes the permissions.
        post_migrate.connect(keep_groups, sender=self)
