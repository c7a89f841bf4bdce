"""Mails about messages: one for each recipient."""

import hashlib
from datetime import timedelta

from django.db import models
from django.db.models import Count, OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mailboxes.models.mailboxes import EmailRecipient, Mailbox
from mailboxes.models.messages import Message

MAX_ANSWER_LENGTH = 500
KEPT = timedelta(days=30)  # after the last change


class MailDeliveryQuerySet(models.QuerySet):
    def outdated(self):
        ended = [state for state in MailDelivery.State if state not in MailDelivery.UNFINISHED]
        return self.filter(state__in=ended, changed_at__lte=timezone.now() - KEPT)


class MailDelivery(models.Model):
    """The mail about a message to one address, which its mailbox had when the message came in.

    The first task that claims it owns it, so that no other task sends it.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        SENDING = "sending", _("Being sent")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        CANCELED = "canceled", _("Not sent")

    UNFINISHED = (State.WAITING, State.SENDING)

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="mail_deliveries")
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="+")
    email = models.EmailField()
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    task = models.UUIDField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    answer = models.CharField(
        max_length=MAX_ANSWER_LENGTH, blank=True, help_text="The mail server's last answer."
    )
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)

    objects = MailDeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("mail")
        verbose_name_plural = _("mails")
        default_permissions = ()
        indexes = [
            models.Index(fields=["mailbox", "email", "-changed_at"], name="mails_of_recipient"),
            models.Index(fields=["changed_at"], name="mails_by_change"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["message", "email"], name="one_mail_for_each_recipient")
        ]

    def __str__(self):
        return f"Mail {self.pk}"  # for logs, so without the address

    def move(self, state: State, answer: str = "") -> None:
        """Save the new state. An answer is cut to the length of its column."""
        self.state, self.changed_at = state, timezone.now()
        self.answer = answer[:MAX_ANSWER_LENGTH]
        self.save(update_fields=["state", "changed_at", "answer", "attempts", "task"])

    @property
    def local_id(self) -> str:
        """Return the part of the Message-ID before the @: the same for each attempt."""
        address = hashlib.sha256(self.email.lower().encode()).hexdigest()
        return f"{self.message_id.hex}.{address[:16]}"

    @property
    def is_wanted(self) -> bool:
        """Return False if the message, its mailbox or the recipient was deleted."""
        if self.message.is_deleted or self.mailbox.is_deleted:
            return False
        found = EmailRecipient.objects.filter(mailbox=self.mailbox_id, email__iexact=self.email)
        return found.exists()


def with_mail_counts(messages):
    """Annotate messages with the numbers of their mails: all, those sent, those given up."""
    sent = Q(mail_deliveries__state=MailDelivery.State.SENT)
    failed = Q(mail_deliveries__state=MailDelivery.State.FAILED)
    return messages.annotate(
        mail_count=Count("mail_deliveries"),
        sent_mail_count=Count("mail_deliveries", filter=sent),
        failed_mail_count=Count("mail_deliveries", filter=failed),
    )


def with_failures(recipients):
    """Annotate recipients with the state, answer and time of their last mail that ended.

    A mail to an earlier address does not count.
    """
    last = MailDelivery.objects.filter(
        mailbox=OuterRef("mailbox"),
        email=OuterRef("email"),
        state__in=[MailDelivery.State.SENT, MailDelivery.State.FAILED],
        changed_at__gt=OuterRef("updated_at"),
    ).order_by("-changed_at")[:1]
    return recipients.annotate(
        last_state=Subquery(last.values("state")),
        last_answer=Subquery(last.values("answer")),
        last_mail_at=Subquery(last.values("changed_at")),
    )


def delete_if_mailed(message: Message) -> None:
    """Delete the message if its account wants that, and each recipient has its mail.

    Recipients who were removed need none, but one mail at least must have been sent. Call with the
    mailbox and the message locked.
    """
    sent, canceled = MailDelivery.State.SENT, MailDelivery.State.CANCELED
    states = set(MailDelivery.objects.filter(message=message).values_list("state", flat=True))
    is_mailed = sent in states and states <= {sent, canceled}
    mailbox = message.mailbox
    # While the mailbox is deleted, mails are canceled to recipients who are still there.
    if is_mailed and mailbox.account.deletes_mailed and not mailbox.is_deleted:
        message.soft_delete()
