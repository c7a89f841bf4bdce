"""History rows, their authors, and batches of changes."""

from uuid import uuid4

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import DatabaseError, models
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from mailboxes import contract
from mailboxes.db.connections import PRIMARY
from mailboxes.db.history_writer import HistoryWriter
from mailboxes.models.credentials import ApiCredential


class Batch(models.Model):
    """What a member of staff did in one go, to one mailbox or to many, and may undo."""

    class Action(models.TextChoices):
        CREATED = "created", _("Created")
        CHANGED = "changed", _("Changed")
        DELETED = "deleted", _("Deleted")
        RESTORED = "restored", _("Restored")
        PUT_BACK = "put back", _("Put back")
        IMPORTED = "imported", _("Imported")
        UNDONE = "undone", _("Undone")

    # What one must be allowed to do to mailboxes, for the action and for undoing it.
    NEEDS = {
        Action.CREATED: ["add"],
        Action.DELETED: ["delete"],
        Action.RESTORED: ["delete"],
        Action.IMPORTED: ["add", "change"],
        Action.UNDONE: ["change", "delete"],  # it may have deleted or restored them
    }

    uuid = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    action = models.CharField(max_length=16, choices=Action)
    made_at = models.DateTimeField(default=timezone.now, db_index=True)
    undone_at = models.DateTimeField(null=True)
    count = models.PositiveIntegerField(default=0, help_text="How many mailboxes it changed.")
    name = models.CharField(max_length=contract.MAX_NAME_LENGTH, help_text="Of the only mailbox.")

    class Meta:
        verbose_name_plural = "batches"
        ordering = ["-made_at"]

    def __str__(self):
        return self.in_words()

    def in_words(self) -> str:
        """What was done, as a sentence."""
        done = self.get_action_display()
        if self.name:
            return gettext("%(done)s: “%(name)s”.") % {"done": done, "name": self.name}
        return ngettext(
            "%(done)s: %(count)s mailbox.", "%(done)s: %(count)s mailboxes.", self.count
        ) % {"done": done, "count": self.count}

    @classmethod
    def permissions(cls, action) -> list[str]:
        """What the action needs, and undoing it."""
        return [f"mailboxes.{verb}_mailbox" for verb in cls.NEEDS.get(action, ["change"])]


class HistoryAuthor(models.Model):
    """Who made a row of history, beside simple-history's `history_user`: a program's credential; and in which batch."""

    history_credential = models.ForeignKey(
        ApiCredential, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    history_batch = models.ForeignKey(Batch, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        abstract = True


class HistoryRecords(HistoricalRecords):
    """simple-history's rows beside each change, with whose change it was: a person's, or a program's."""

    def create_history_model(self, model, inherited):
        made = super().create_history_model(model, inherited)
        model.writes = HistoryWriter(model, made)
        return made

    def create_historical_record(self, instance, history_type, using=None):
        """Write the state that a row was in when it was removed."""
        model = instance.writes.history
        kept = {field.attname: getattr(instance, field.attname) for field in model.tracked_fields}
        model(**kept, **self.history_fields(history_type)).save()

    @classmethod
    def history_fields(cls, history_type: str, credential: ApiCredential | None = None) -> dict:
        """Return the fields of a history row besides the state; its type is `+`, `~` or `-`.

        Without a credential, the author is whoever makes the request that is being answered.
        """
        request = None if credential else getattr(cls.context, "request", None)
        author = getattr(request, "user", None)
        credential = credential or getattr(request, "auth", None)
        return {
            "history_date": timezone.now(),
            "history_type": history_type,
            # On API calls `request.user` is an account.
            "history_user_id": author.pk if isinstance(author, AbstractBaseUser) else None,
            "history_credential_id": (
                credential.pk if isinstance(credential, ApiCredential) else None
            ),
        }


def history_table(*bases):
    """A table of every state a row was in, with its author."""
    return HistoryRecords(
        bases=[HistoryAuthor, *bases], history_id_field=models.BigAutoField(primary_key=True)
    )


class HistoryMixin(models.Model):
    """A row that is written together with its row of history; `writes` is how."""

    writes: HistoryWriter

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

        Without one, the author is the one of the current request. No signal is sent. Raises
        DatabaseError if the row to update is not there.
        """
        using = using or PRIMARY
        is_updated = not (force_insert or self._state.adding) and self.writes.update(
            self, HistoryRecords.history_fields("~", credential), using, update_fields or ()
        )
        if not is_updated and (update_fields or force_update):
            raise DatabaseError("There is no such row any more.")
        if not is_updated:
            self.writes.insert(self, HistoryRecords.history_fields("+", credential), using)
        self._state.db, self._state.adding = using, False
