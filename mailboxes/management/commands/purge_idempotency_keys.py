"""Remove expired idempotency keys."""

from django.core.management.base import BaseCommand

from mailboxes.models import IdempotentAnswer


class Command(BaseCommand):
    help = "Remove idempotency keys, with their answers, that are older than a day."

    def handle(self, *args, **options) -> str:
        removed, _ = IdempotentAnswer.objects.expired().delete()
        return f"Removed {removed} keys."
