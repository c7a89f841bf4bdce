"""Long histories, and clocks that are set back."""

from datetime import timedelta

from django.db.models import F

from mailboxes.models import Batch, EmailRecipient, Mailbox


def set_clock_back(hours=1) -> None:
    """Make what was written so far have times that are still to come."""
    later = F("history_date") + timedelta(hours=hours)
    for model in (Mailbox, EmailRecipient):
        model.history.update(history_date=later)
    Batch.objects.update(made_at=F("made_at") + timedelta(hours=hours))


def let_pass(days) -> None:
    """Make what was written so far older by these days."""
    set_clock_back(hours=-24 * days)


def rename_often(mailbox, count) -> None:
    """Rename the mailbox so many times: Name 0, Name 1 and so on."""
    history = Mailbox.history.model
    rows = []
    for number in range(count):
        mailbox.version += 1
        mailbox.name = f"Name {number}"
        state = {field.attname: getattr(mailbox, field.attname) for field in history.tracked_fields}
        rows.append(history(**state, **mailbox.get_history_fields("~")))
    history.objects.bulk_create(rows)
    Mailbox.objects.filter(pk=mailbox.pk).update(version=mailbox.version, name=mailbox.name)
