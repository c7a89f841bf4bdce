"""CSV imports and their rows."""

from datetime import timedelta
from uuid import uuid4

import orjson
from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mailboxes.models.encrypted import EncryptedRow
from mailboxes.models.history import Batch


class ImportQuerySet(models.QuerySet):
    def past(self):
        """Those whose time is over: what was not written by now never is."""
        return self.filter(created_at__lte=timezone.now() - Import.KEPT)


class Import(models.Model):
    """A file of mailboxes on its way in: staged, checked row by row, then written at once or not at all."""

    KEPT = timedelta(days=1)

    uuid = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    file_name = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    row_count = models.PositiveIntegerField(default=0)
    created = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    wrong = models.PositiveIntegerField(default=0)
    batch = models.OneToOneField(Batch, null=True, on_delete=models.CASCADE, related_name="+")

    objects = ImportQuerySet.as_manager()

    def __str__(self):
        return self.file_name

    @property
    def checked(self) -> int:
        """How many rows have been checked so far."""
        return self.created + self.changed + self.unchanged + self.wrong

    @property
    def is_checked(self) -> bool:
        return self.checked == self.row_count

    @property
    def to_write(self) -> int:
        """How many mailboxes it makes or changes."""
        return self.created + self.changed

    @property
    def is_ready(self) -> bool:
        """Whether it can be written: all of it is checked and right, and there is something to write."""
        return self.is_checked and not self.wrong and self.to_write > 0 and not self.batch_id

    def count(self) -> None:
        """Count the rows anew by what came of them, unless they are gone: it is written, or discarded."""
        counted = dict(self.rows.order_by().values_list("outcome").annotate(models.Count("pk")))
        counts = {outcome: counted.get(outcome, 0) for outcome in ImportRow.Outcome.values}
        for outcome, count in counts.items():
            setattr(self, outcome, count)
        Import.objects.filter(pk=self.pk, batch=None).update(**counts)


class ImportRow(EncryptedRow, models.Model):
    """A row of such a file, numbered as in the file, and what comes of it once it is checked."""

    ENCRYPTED_COLUMN = "cells_sealed"

    class Outcome(models.TextChoices):  # what one looks at first comes first
        WRONG = "wrong", _("Wrong")
        CHANGED = "changed", _("Changed")
        CREATED = "created", _("Created")
        UNCHANGED = "unchanged", _("Unchanged")

    source = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField()
    cells_sealed = models.TextField()
    mailbox_uuid = models.UUIDField(null=True)
    version = models.PositiveIntegerField(
        null=True, help_text="Of the mailbox, when the row was checked."
    )
    outcome = models.CharField(max_length=16, choices=Outcome)
    errors = models.JSONField(default=dict)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["source", "number"], name="row_once_per_import")
        ]
        indexes = [
            models.Index(fields=["source", "outcome", "number"], name="rows_by_outcome"),
            models.Index(fields=["source", "mailbox_uuid"], name="rows_by_mailbox"),
        ]

    def __str__(self):
        return f"{self.source_id}: {self.number}"

    @property
    def cells(self) -> dict[str, str]:
        """In clear, by column: sealed, because pass codes may be among them. Raises UnknownKeyError."""
        return orjson.loads(self.decrypt())

    @cells.setter
    def cells(self, cells: dict[str, str]) -> None:
        self.encrypt(orjson.dumps(cells).decode())

    @property
    def owner(self) -> bytes:
        return f"{self.source_id}:{self.number}".encode()
