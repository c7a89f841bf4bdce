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
    def expired(self):
        return self.filter(created_at__lte=timezone.now() - Import.MAX_AGE)

    def oldest_unwritten(self, user):
        """Return those of the user that are too many before another one, so that no disk fills up."""
        unwritten = self.filter(user=user, batch=None).order_by("-created_at")
        too_many = list(unwritten.values_list("pk", flat=True)[Import.MAX_UNWRITTEN - 1 :])
        return self.filter(pk__in=too_many, batch=None)


class Import(models.Model):
    """A CSV file of mailboxes: its rows are stored, checked, and then all written or none."""

    MAX_AGE = timedelta(days=1)
    MAX_UNWRITTEN = 10  # of a user

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
        return self.created + self.changed + self.unchanged + self.wrong

    @property
    def is_checked(self) -> bool:
        return self.checked == self.row_count

    @property
    def to_write(self) -> int:
        return self.created + self.changed

    @property
    def is_ready(self) -> bool:
        """Return True if all rows are checked and right, and there is something to write."""
        return self.is_checked and not self.wrong and self.to_write > 0 and not self.batch_id

    def list_warned(self, column: str) -> models.QuerySet["ImportRow"]:
        """Return the right rows with a warning in this column.

        In `name`, another mailbox of the account has it; in `password`, it is easy to guess.
        """
        written = [ImportRow.Outcome.CREATED, ImportRow.Outcome.CHANGED]
        return self.rows.filter(outcome__in=written, errors__has_key=column)

    def count(self) -> None:
        """Count the rows by outcome again. An import that is written has no rows: its counts stay."""
        by_outcome = dict(self.rows.order_by().values_list("outcome").annotate(models.Count("pk")))
        counts = {outcome: by_outcome.get(outcome, 0) for outcome in ImportRow.Outcome.values}
        for outcome, count in counts.items():
            setattr(self, outcome, count)
        Import.objects.filter(pk=self.pk, batch=None).update(**counts)


class ImportRow(EncryptedRow, models.Model):
    """A row of the file, and the outcome of its check."""

    ENCRYPTED_COLUMN = "cells_sealed"

    class Outcome(models.TextChoices):  # in the order of importance to the user
        WRONG = "wrong", _("Wrong")
        CHANGED = "changed", _("Changed")
        CREATED = "created", _("Created")
        UNCHANGED = "unchanged", _("Unchanged")

    source = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField()
    cells_sealed = models.TextField()
    mailbox_uuid = models.UUIDField(null=True)
    account_key = models.BigIntegerField(null=True, help_text="The account of a new mailbox.")
    version = models.PositiveIntegerField(
        null=True, help_text="The mailbox's version when the row was checked."
    )
    outcome = models.CharField(max_length=16, choices=Outcome)
    # By column: what is wrong, or, in a row of another outcome, a warning.
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
        """Return the decrypted cells by column. Pass codes may be among them.

        Raises UnknownKeyError.
        """
        return orjson.loads(self.decrypt())

    @cells.setter
    def cells(self, cells: dict[str, str]) -> None:
        self.encrypt(orjson.dumps(cells).decode())

    @property
    def owner(self) -> bytes:
        return f"{self.source_id}:{self.number}".encode()
