"""Rows with their times of creation and last update."""

from datetime import date

from django.db import models
from django.utils import timezone

# The order of an account's mailboxes, and of a mailbox's recipients.
IN_ORDER = ["created_at", "uuid"]


class Timestamped(models.Model):
    """A row with its times of creation and last update, ordered by creation."""

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True
        ordering = IN_ORDER

    def save(self, **kwargs):
        self.updated_at = self.created_at if self._state.adding else timezone.now()
        super().save(**kwargs)

    @property
    def created_on(self) -> date:
        return self.created_at.date()

    @property
    def updated_on(self) -> date:
        return self.updated_at.date()
