"""History rows, their authors, and batches of changes."""

from collections.abc import Sequence
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, models
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from mailboxes import contract
from mailboxes.db.connections import PRIMARY
from mailboxes.db.history_writer import HistoryWriter
from mailboxes.models.credentials import ApiCredential


class BatchQuerySet(models.QuerySet):
    def with_undone_count(self):
        """Annotate `undone_count`, the number of mailboxes that the undo of a batch changed.

        It is None if the batch was not undone, or by an earlier version.
        """
        undoing = Batch.objects.filter(
            action=Batch.Action.UNDONE, made_at=models.OuterRef("undone_at")
        )
        counts = undoing.order_by().values("count")[:1]
        return self.annotate(undone_count=models.Subquery(counts))


class Batch(models.Model):
    """A change by staff of one or many mailboxes or messages, which can be undone."""

    class Action(models.TextChoices):
        CREATED = "created", _("Created")
        CHANGED = "changed", _("Changed")
        DELETED = "deleted", _("Deleted")
        RESTORED = "restored", _("Restored")
        PUT_BACK = "put back", _("Put back")
        IMPORTED = "imported", _("Imported")
        UNDONE = "undone", _("Undone")

    # The verbs of the permissions that an action and its undo need, if not only `change`.
    PERMISSIONS = {
        Action.CREATED: ["add"],
        Action.DELETED: ["delete"],
        Action.RESTORED: ["delete"],
        Action.IMPORTED: ["add", "change"],
        Action.UNDONE: ["change", "delete"],  # it may have deleted or restored them
    }

    uuid = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    action = models.CharField(max_length=16, choices=Action)
    # Times do not give the order, because a clock may be set back.
    number = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)
    made_at = models.DateTimeField(default=timezone.now, db_index=True)
    undone_at = models.DateTimeField(null=True)
    of_messages = models.BooleanField(
        default=False, db_default=False, help_text="It deleted or restored messages."
    )
    count = models.PositiveIntegerField(
        default=0, help_text="The number of changed mailboxes or messages."
    )
    name = models.CharField(
        max_length=contract.MAX_NAME_LENGTH,
        help_text="The mailbox's name, if only one or its messages were changed.",
    )
    effects = models.JSONField(
        null=True,
        encoder=DjangoJSONEncoder,
        help_text="By field: its new value in a list, which is empty if there were several.",
    )
    accounts = models.JSONField(null=True, help_text="Names of the mailboxes' accounts.")

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        ordering = ["-number", "-made_at"]
        indexes = [models.Index(fields=["number", "made_at"], name="batches_in_order")]

    def __str__(self):
        done = self.get_action_display()
        if self.of_messages:
            return self.describe_messages(done)
        if self.name:
            text = gettext("%(done)s: “%(name)s”.")
            if self.action == self.Action.UNDONE:
                text = gettext("The change of “%(name)s” was undone.")
        elif self.action == self.Action.UNDONE:
            text = ngettext(
                "The change of %(count)s mailbox was undone.",
                "The change of %(count)s mailboxes was undone.",
                self.count,
            )
        else:
            text = ngettext(
                "%(done)s: %(count)s mailbox.", "%(done)s: %(count)s mailboxes.", self.count
            )
        return text % {"done": done, "count": self.count, "name": self.name}

    def save(self, **kwargs):
        """Save, and number a new batch after all others."""
        if self._state.adding:
            last = Batch.objects.aggregate(number=models.Max("number", default=0))
            self.number = last["number"] + 1
        super().save(**kwargs)

    def describe_messages(self, done) -> str:
        values = {"done": done, "count": self.count, "name": self.name}
        if self.name:
            text = ngettext(
                "%(done)s: %(count)s message of “%(name)s”.",
                "%(done)s: %(count)s messages of “%(name)s”.",
                self.count,
            )
        else:
            text = ngettext(
                "%(done)s: %(count)s message.", "%(done)s: %(count)s messages.", self.count
            )
        return text % values

    @property
    def sets_new_pass_codes(self) -> bool:
        """Return True if it changed pass codes, not created, imported or put them back."""
        is_set = (self.effects or {}).get("password") == [contract.MASK]
        return self.action == self.Action.CHANGED and is_set

    @property
    def needed_permissions(self) -> list[str]:
        """Return the permissions to do it again, which includes undoing it."""
        if self.of_messages:
            return ["mailboxes.delete_message"]
        return self.permissions(self.action)

    @classmethod
    def permissions(cls, action) -> list[str]:
        return [f"mailboxes.{verb}_mailbox" for verb in cls.PERMISSIONS.get(action, ["change"])]


class HistoryAuthor(models.Model):
    """The credential and the batch of a change. simple-history adds the user, `history_user`."""

    history_credential = models.ForeignKey(
        ApiCredential, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    history_batch = models.ForeignKey(Batch, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        abstract = True


# The order of a mailbox's history rows. Unlike ids alone, an index has it.
NEWEST_FIRST = ["-version", "-history_id"]

# The type of a history row that stays when older ones are removed, and is no change itself.
START = "="


class HistoryRecords(HistoricalRecords):
    """simple-history's records, written by a HistoryWriter, with the credential as author."""

    indexes: Sequence[models.Index] = ()

    def get_meta_options(self, model):
        """Order by id instead of time, because a clock may be set back."""
        order = {"ordering": ["-history_id"], "get_latest_by": "history_id"}
        return super().get_meta_options(model) | order | {"indexes": self.indexes}

    def create_history_model(self, model, inherited):
        history = super().create_history_model(model, inherited)
        model.history_writer = HistoryWriter(model, history, model.parent_field)
        return history

    def create_historical_record(self, instance, history_type, using=None):
        """Write the state of a deleted row. Other changes are written by HistoryMixin."""
        model = instance.history_writer.history
        state = {field.attname: getattr(instance, field.attname) for field in model.tracked_fields}
        model(**state, **instance.get_history_fields(history_type)).save()

    @classmethod
    def history_fields(cls, history_type: str, credential: ApiCredential | None = None) -> dict:
        """Return the fields of a history row other than the state. Its type is `+`, `~` or `-`.

        Without a credential, the author is the caller of the current request.
        """
        request = None if credential else getattr(cls.context, "request", None)
        author = getattr(request, "user", None)
        credential = credential or getattr(request, "auth", None)
        return {
            "history_date": timezone.now(),
            "history_type": history_type,
            # In API calls `request.user` is an account.
            "history_user_id": author.pk if isinstance(author, AbstractBaseUser) else None,
            "history_credential_id": (
                credential.pk if isinstance(credential, ApiCredential) else None
            ),
        }


def history_table(*bases, indexes, excluded=()):
    records = HistoryRecords(
        bases=[HistoryAuthor, *bases],
        excluded_fields=excluded,
        history_id_field=models.BigAutoField(primary_key=True),
    )
    records.indexes = indexes
    return records


class HistoryMixin(models.Model):
    """A row that is saved together with its history row, by its HistoryWriter.

    It never moves to another parent, which could belong to another account.
    """

    history_writer: HistoryWriter
    parent_field: str  # a foreign key that never changes

    class Meta:
        abstract = True

    def save(
        self,
        *,
        force_insert=False,
        force_update=False,
        using=None,
        update_fields=None,
        credential=None,
    ):
        """Save with a prepared query, and add a history row with the credential as author.

        Without a credential, the author is the caller of the current request. No signals are sent.
        Raises DatabaseError if the row to update does not exist or belongs to another parent.
        """
        using = using or PRIMARY
        is_updated = not (force_insert or self._state.adding) and self.history_writer.update(
            self, self.get_history_fields("~", credential), using, update_fields or ()
        )
        if not is_updated and (update_fields or force_update):
            raise DatabaseError("The row to update is gone, or belongs to another parent.")
        if not is_updated:
            self.history_writer.insert(self, self.get_history_fields("+", credential), using)
        self._state.db, self._state.adding = using, False

    def get_history_fields(
        self, history_type: str, credential: ApiCredential | None = None
    ) -> dict:
        """Return the fields of a history row other than the state: see HistoryRecords."""
        return HistoryRecords.history_fields(history_type, credential)
