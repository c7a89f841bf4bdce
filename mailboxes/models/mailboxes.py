"""Mailboxes and their email recipients."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Cast, Length, Lower, Replace
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mailboxes import contract, validators
from mailboxes.db.connections import PRIMARY
from mailboxes.models.accounts import Account
from mailboxes.models.credentials import ApiCredential
from mailboxes.models.encrypted import EncryptedPassCode
from mailboxes.models.history import HistoryMixin, HistoryRecords, history_table

# Of creation: an account's mailboxes, and a mailbox's recipients, which have places besides.
IN_ORDER = ["created_at", "uuid"]
WITHIN_MAILBOX = ["position", *IN_ORDER]
RECIPIENTS_IN_ORDER = [f"email_recipients__{field}" for field in WITHIN_MAILBOX]


class Timed(models.Model):
    """A row that shows the days, in UTC, on which it was made and last changed, and stands in order of creation."""

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True
        ordering = IN_ORDER

    def save(self, **kwargs):
        """Save; what has never been updated was last changed when it was made."""
        self.updated_at = self.created_at if self._state.adding else timezone.now()
        super().save(**kwargs)

    @property
    def created_on(self) -> date:
        return self.created_at.date()

    @property
    def updated_on(self) -> date:
        return self.updated_at.date()


def retention_start() -> datetime:
    """What was deleted after this moment can be restored."""
    return timezone.now() - timedelta(days=settings.RETENTION_DAYS)


class ChangedMeanwhileError(Exception):
    """A mailbox is no longer as it was when it was looked at."""


class MailboxQuerySet(models.QuerySet):
    def active(self):
        """Those that are not deleted."""
        return self.filter(deleted_at=None)

    def of_account_named(self, name):
        """Those of the account that has this name, if there is one."""
        if "\x00" in name:  # PostgreSQL knows no NUL
            return self.none()
        return self.filter(account__name=name)

    def readable_by(self, credential, **account):
        """Return the mailboxes that a telephone engine may read and that a call may reach.

        None if the credential belongs neither to the account that these lookups find, nor to an
        account above it. A credential without an account reads every account's mailboxes.
        """
        reachable = self.active().filter(account__is_active=True).select_related("account")
        if credential.account_id is None:
            return reachable
        readers = Account.objects.with_resellers(**account)
        return reachable.filter(Exists(readers.filter(pk=credential.account_id)))

    def past_retention(self):
        """Those deleted so long ago that they cannot be restored any more."""
        return self.filter(deleted_at__lte=retention_start())

    def restorable(self):
        """Those that are active, and those deleted within the retention time."""
        return self.exclude(deleted_at__lte=retention_start())

    def with_addresses(self) -> Iterator["Mailbox"]:
        """Each with its recipients' `addresses`, all in their order; in one query."""
        rows: Any = self.annotate(address=F("email_recipients__email"))
        rows = rows.order_by(*IN_ORDER, *RECIPIENTS_IN_ORDER)
        for _uuid, of_one in groupby(rows, attrgetter("pk")):
            same = list(of_one)
            same[0].addresses = [row.address for row in same if row.address]
            yield same[0]

    def search(self, text, of_all=False):
        """Those with the text in their name, their account's, a recipient's address or their uuid.

        A uuid is found by any part of it, with hyphens or without. Where the mailboxes are
        those `of_all` accounts, all addresses and names are looked through once; otherwise, only
        these mailboxes' own: each is several times as fast in its place.
        """
        text = text.replace("\x00", "")  # PostgreSQL knows no NUL
        recipients = EmailRecipient.objects.filter(email__icontains=text)
        if of_all:
            accounts = Account.objects.filter(name__icontains=text)
            belonging = Q(account__in=accounts.values("pk"))
            belonging |= Q(pk__in=recipients.values("mailbox"))
        else:
            belonging = Q(account__name__icontains=text)
            belonging |= Q(Exists(recipients.filter(mailbox=OuterRef("pk"))))
        found = Q(name__icontains=text) | belonging
        digits = text.replace("-", "").lower()
        if digits and set(digits) <= set("0123456789abcdef"):
            found |= Q(digits__contains=digits)
        # PostgreSQL shows a uuid with hyphens, SQLite without.
        uuid = Cast("uuid", models.TextField())
        digits_of_uuid = Replace(uuid, Value("-"), output_field=models.TextField())
        return self.alias(digits=digits_of_uuid).filter(found)


class Mailbox(EncryptedPassCode, Timed, HistoryMixin):
    """A place for callers to leave a voicemail message."""

    uuid = models.UUIDField(_("UUID"), primary_key=True, default=uuid4, editable=False)
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="mailboxes", verbose_name=_("account")
    )
    name = models.CharField(
        _("name"), max_length=contract.MAX_NAME_LENGTH, validators=[validators.validate_printable]
    )
    password_sealed = models.CharField(  # noqa: DJ001  null is "no pass code", never ""
        max_length=80, null=True, editable=False
    )
    password_is_weak = models.BooleanField(default=False, editable=False)
    greeting = models.UUIDField(
        _("greeting"),
        null=True,
        blank=True,
        help_text=_("The UUID of the Sound used as a greeting."),
    )
    beep = models.BooleanField(
        _("beep"), default=True, help_text=_("Play a beep after the greeting.")
    )
    play_caller_id = models.BooleanField(
        _("play caller ID"), default=False, help_text=_("Announce the caller ID of a message.")
    )
    play_timestamp = models.BooleanField(
        _("play timestamp"), default=False, help_text=_("Announce when a message was received.")
    )
    transcribe = models.BooleanField(
        _("transcribe"), default=False, help_text=_("Transcribe incoming messages.")
    )
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    recipients_as_json = "[]"  # for the API, where it has read them along

    objects = MailboxQuerySet.as_manager()
    history = history_table(EncryptedPassCode)

    class Meta(Timed.Meta):
        verbose_name_plural = _("mailboxes")
        indexes = [
            models.Index(
                fields=["account", "created_at", "uuid"],
                condition=Q(deleted_at=None),
                name="active_mailboxes_of_account",
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(GreaterThanOrEqual(Length("name"), 1))
                & Q(LessThanOrEqual(Length("name"), contract.MAX_NAME_LENGTH)),
                name="mailbox_name_length",
            ),
            models.CheckConstraint(
                condition=Q(password_sealed__isnull=False) | Q(password_is_weak=False),
                name="mailbox_without_pass_code_is_not_weak",
            ),
        ]

    def __str__(self):
        return self.name

    def save(self, **kwargs):
        """Save, one version on unless it is new. Callers that read first hold the row locked."""
        if not self._state.adding:
            self.version += 1
        super().save(**kwargs)

    @classmethod
    def create(cls, account: Account, credential: ApiCredential, **values) -> "Mailbox":
        """Create a mailbox with these fields."""
        mailbox = cls(account=account, **values)
        mailbox.save(force_insert=True, credential=credential)
        return mailbox

    def change(self, values: dict, credential: ApiCredential | None = None) -> None:
        """Set these fields and save them, without a lock on the row.

        Raises ChangedMeanwhileError, and saves nothing, if it has changed since it was read.
        """
        as_read = self.version
        for name, value in values.items():
            setattr(self, name, value)
        self.version += 1
        self.updated_at = timezone.now()
        names = {"version", "updated_at", *values}
        if "password" in names:
            names = names - {"password"} | {"password_sealed", "password_is_weak"}
        fields = HistoryRecords.history_fields("~", credential)
        if not self.writes.update(self, fields, PRIMARY, sorted(names), version=as_read):
            raise ChangedMeanwhileError

    def check_pass_code(self, code: str) -> None:
        """Raises ValidationError on what is no pass code, or a weak one that is new where PASS_CODE_POLICY is `reject`."""
        validators.validate_pass_code(code)
        rejects = settings.PASS_CODE_POLICY == "reject"  # noqa: S105  the policy's name
        if rejects and code != self.value("password"):
            validators.refuse_weak_pass_code(code)

    def set_pass_code(self, code: str) -> None:
        """Take this pass code from now on. The same again changes nothing. Raises ValidationError."""
        self.check_pass_code(code)
        if code != self.value("password"):
            self.password = code
            self.save()

    def validate_constraints(self, exclude=None):
        """Nothing is left to ask the database: the fields' own rules say what its constraints say."""

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None

    def soft_delete(self) -> None:
        """Take it out of service; `restore` brings it back. Deleting again changes nothing."""
        if not self.is_deleted:
            self.deleted_at = timezone.now()
            self.save()

    def restore(self) -> None:
        """Bring it back into service as it was. Restoring again changes nothing."""
        if self.is_deleted:
            self.deleted_at = None
            self.save()

    def turn_transcription(self, on: bool) -> None:
        """Transcribe messages from now on, or no longer. Turning it so again changes nothing."""
        if self.transcribe != on:
            self.transcribe = on
            self.save()

    def touch(self) -> None:
        """Count a change of its recipients as a change of the mailbox, and lock its row until commit."""
        self.version += 1
        self.updated_at = timezone.now()
        Mailbox.objects.filter(pk=self.pk).update(
            version=F("version") + 1, updated_at=self.updated_at
        )

    def next_position(self) -> int:
        """The place behind all its recipients. Callers hold the row locked, unless it is new."""
        present = [] if self._state.adding else self.email_recipients.all()
        return 1 + max((recipient.position for recipient in present), default=0)

    def recipients_to_add(self, addresses: Iterable[str]) -> list["EmailRecipient"]:
        """Recipients of these addresses, in this order behind those there are; nothing is saved."""
        return [
            EmailRecipient(mailbox=self, email=address, position=position)
            for position, address in enumerate(addresses, self.next_position())
        ]

    def add_recipient(self, email: str):
        """Send messages to this address too. Raises ValidationError, code `unique` or `limit` on a conflict."""
        recipient = EmailRecipient(mailbox=self, email=email)
        recipient.full_clean()
        recipient.save()
        return recipient


class EmailRecipient(Timed, HistoryMixin):
    """An address that a mailbox's messages are mailed to."""

    uuid = models.UUIDField(_("UUID"), primary_key=True, default=uuid4, editable=False)
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="email_recipients")
    email = models.EmailField(validators=[validators.validate_ascii])
    # The days do not tell the order: clocks of several machines differ.
    position = models.IntegerField(default=0, db_default=0, editable=False)

    history = history_table()

    class Meta(Timed.Meta):
        ordering = WITHIN_MAILBOX
        # All that the API shows of them: a list of mailboxes reads their index alone.
        indexes = [
            models.Index(
                fields=["mailbox", *WITHIN_MAILBOX, "updated_at"], name="recipients_in_order"
            )
        ]
        constraints = [
            models.UniqueConstraint(
                "mailbox",
                Lower("email"),
                name="address_once_per_mailbox",
                violation_error_code="unique",
                violation_error_message=_("This mailbox already has that address."),
            ),
        ]

    def __str__(self):
        return self.email

    @transaction.atomic
    def save(self, **kwargs):
        """Save; the mailbox has changed too. A new one stands behind those there are."""
        self.mailbox.touch()
        if self._state.adding:
            self.position = self.mailbox.next_position()
        super().save(**kwargs)

    @transaction.atomic
    def delete(self, **kwargs):
        """Delete; the mailbox has changed too."""
        self.mailbox.touch()
        return super().delete(**kwargs)

    def clean(self):
        """Refuse one recipient too many. Exact where the caller holds the mailbox locked."""
        super().clean()
        others = EmailRecipient.objects.filter(mailbox_id=self.mailbox_id).exclude(pk=self.pk)
        if self._state.adding and others.count() >= contract.MAX_RECIPIENTS:
            raise ValidationError(
                _("A mailbox has at most %(most)s recipients."),
                code="limit",
                params={"most": contract.MAX_RECIPIENTS},
            )

    def validate_constraints(self, exclude=None):
        """Refuse an address twice, naming the field: a constraint over an expression names none.

        A form that leaves the mailbox as it is excludes it, and would skip the constraint.
        """
        try:
            super().validate_constraints(set(exclude or ()) - {"mailbox"})
        except ValidationError as error:
            raise ValidationError({"email": error.error_dict[NON_FIELD_ERRORS]}) from None
