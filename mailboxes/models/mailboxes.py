"""Mailboxes and their email recipients."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models, transaction
from django.db.models import Case, Count, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Cast, Length, Lower, Replace
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mailboxes import contract, validators
from mailboxes.db.connections import PRIMARY
from mailboxes.db.json import Concatenated, JsonRows, JsonText
from mailboxes.models.accounts import (
    REACHED_BY_MAILBOX,
    REACHED_BY_NAME,
    Account,
    AccountFullError,
)
from mailboxes.models.credentials import ApiCredential
from mailboxes.models.encrypted import EncryptedPassCode
from mailboxes.models.history import HistoryMixin, history_table
from mailboxes.models.searching import FoldedField, contains, split_words
from mailboxes.models.timestamps import IN_ORDER, Timestamped

WITHIN_MAILBOX = ["position", *IN_ORDER]
RECIPIENTS_IN_ORDER = [f"email_recipients__{field}" for field in WITHIN_MAILBOX]

# Shorter words, such as the number of a desk, would be in most UUIDs.
MIN_UUID_DIGITS = 6


def retention_start() -> datetime:
    return timezone.now() - timedelta(days=settings.RETENTION_DAYS)


class ChangedMeanwhileError(Exception):
    """The mailbox has changed since it was read."""


# The condition under which an engine may read mailboxes, by the field that it looks up.
REACHED_BY = {"pk": REACHED_BY_MAILBOX, "account__name": REACHED_BY_NAME}


class MailboxQuerySet(models.QuerySet):
    def active(self):
        return self.filter(deleted_at=None)

    def with_account_name(self, name):
        if "\x00" in name:  # PostgreSQL does not accept NUL
            return self.none()
        return self.filter(account__name=name)

    def readable_by(self, credential, **key):
        """Return the active mailboxes with this key that a telephone engine may read.

        The key is `pk` or `account__name`. Readable are mailboxes of the credential's account and
        of its customers; of all accounts if the credential has none.
        """
        ((field, value),) = key.items()
        if "\x00" in str(value):  # PostgreSQL does not accept NUL
            return self.none()
        if credential.account_id is not None:
            reached = REACHED_BY[field].exists(root=credential.account_id, value=value)
            # In the key, so that it is evaluated first: the same work without such a mailbox.
            value = Case(When(reached, then=Value(value)))
        found = self.active().filter(account__is_active=True, **{field: value})
        return found.select_related("account")

    def past_retention(self):
        return self.filter(deleted_at__lte=retention_start())

    def restorable(self):
        return self.exclude(deleted_at__lte=retention_start())

    def with_addresses(self, chunk_size: int | None = None) -> Iterator["Mailbox"]:
        """Yield the mailboxes in order, with `addresses` of their recipients, from one query.

        A chunk size limits the rows in memory, one for each address.
        """
        rows: Any = self.annotate(address=F("email_recipients__email"))
        rows = rows.order_by(*IN_ORDER, *RECIPIENTS_IN_ORDER)
        if chunk_size:
            rows = rows.iterator(chunk_size)
        for _uuid, group in groupby(rows, attrgetter("pk")):
            mailbox, *others = group
            mailbox.addresses = [row.address for row in (mailbox, *others) if row.address]
            yield mailbox

    def with_address_lists(self):
        """Annotate `address_list`, the recipients' addresses in order, as a JSON array.

        Prefetched recipients refer to their mailbox and back. Of a long export, the garbage
        collector would remove those cycles all at once, while every other thread waits.
        """
        recipients = EmailRecipient.objects.filter(mailbox=OuterRef("pk")).order_by(*WITHIN_MAILBOX)
        addresses = JsonRows(recipients.values(one=JsonText("email")))
        return self.annotate(address_list=Concatenated("[", addresses, "]"))

    def search(self, text, all_accounts=False):
        """Return mailboxes that have each word in a name, a recipient's address or the UUID.

        The names are the mailbox's and its account's. `all_accounts` searches all names and
        addresses once: several times as fast if the mailboxes belong to many accounts. Raises
        ValidationError if the words are too many.
        """
        # PostgreSQL casts a UUID to text with hyphens, SQLite without.
        uuid = Cast("uuid", models.TextField())
        digits_of_uuid = Replace(uuid, Value("-"), output_field=models.TextField())
        matches = [has_word(word, all_accounts) for word in split_words(text)]
        return self.alias(digits=digits_of_uuid).filter(*matches)


def has_word(word: str, all_accounts: bool) -> Q:
    """Match mailboxes with the word. A part of a UUID is found with or without hyphens."""
    address = validators.normalize_address(word)
    recipients = EmailRecipient.objects.filter(email__icontains=address)
    if all_accounts:
        accounts = Account.objects.filter(name__icontains=word)
        related = Q(account__in=accounts.values("pk"))
        related |= Q(pk__in=recipients.values("mailbox"))
    else:
        related = Q(account__name__icontains=word)
        related |= Q(Exists(recipients.filter(mailbox=OuterRef("pk"))))
    digits = word.replace("-", "").lower()
    if len(digits) >= MIN_UUID_DIGITS and set(digits) <= set("0123456789abcdef"):
        related |= Q(digits__contains=digits)
    return contains("name", word) | related


def check_quotas(accounts: Collection[int], adding: int = 0) -> None:
    """Refuse more active mailboxes than each of these accounts may have.

    Locks the accounts until the transaction ends, so that the numbers stay exact. To avoid
    deadlocks, mailboxes must be locked before. Raises AccountFullError.
    """
    rows = Account.objects.filter(pk__in=accounts)
    locked = {account.pk: account for account in rows.select_for_update(no_key=True).order_by("pk")}
    active = Mailbox.objects.active().filter(account__in=locked).order_by()
    for pk, count in active.values_list("account").annotate(Count("pk")):
        if count + adding > settings.MAX_MAILBOXES_PER_ACCOUNT:
            raise AccountFullError(locked[pk])


class Mailbox(EncryptedPassCode, Timestamped, HistoryMixin):
    """A mailbox, where callers leave voicemail messages."""

    uuid = models.UUIDField(_("UUID"), primary_key=True, default=uuid4, editable=False)
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="mailboxes", verbose_name=_("account")
    )
    name = models.CharField(
        _("name"), max_length=contract.MAX_NAME_LENGTH, validators=[validators.validate_printable]
    )
    folded_name = FoldedField(default="", db_default="", blank=True, editable=False)
    password_sealed = models.CharField(  # noqa: DJ001  null means no pass code
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
    # Null after each change, until ChangeFeed numbers it.
    change_number = models.BigIntegerField(null=True, editable=False)
    # The last version that was sent to webhooks. Only the task worker sets it.
    announced_version = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    parent_field = "account"
    recipients_as_json = "[]"  # set by the API, which reads them with the mailbox

    objects = MailboxQuerySet.as_manager()
    history = history_table(
        EncryptedPassCode,
        excluded=["announced_version", "change_number", "folded_name"],
        indexes=[models.Index(fields=["uuid", "version"], name="mailbox_history_by_version")],
    )

    class Meta(Timestamped.Meta):
        verbose_name_plural = _("mailboxes")
        indexes = [
            models.Index(
                fields=["account", "created_at", "uuid"],
                condition=Q(deleted_at=None),
                name="active_mailboxes_of_account",
            ),
            models.Index(fields=["account", "change_number"], name="mailboxes_by_change"),
            models.Index(
                fields=["greeting"],
                condition=Q(deleted_at=None, greeting__isnull=False),
                name="mailboxes_by_greeting",
            ),
            models.Index(
                fields=["account", "updated_at"],
                condition=Q(announced_version__lt=F("version")),
                name="unannounced_mailboxes",
            ),
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
        """Save with the next version. Lock an existing row before you read and save it."""
        if not self._state.adding:
            self.mark_changed(timezone.now())
        super().save(**kwargs)

    def mark_changed(self, now: datetime) -> None:
        """Set the columns that every change sets, without saving."""
        self.version += 1
        self.updated_at = now
        self.change_number = None

    @classmethod
    def create(cls, account: Account, credential: ApiCredential, **values) -> "Mailbox":
        """Create a mailbox: with one query, unless the account may be full.

        Raises AccountFullError.
        """
        mailbox = cls(account=account, **values)
        save = partial(mailbox.save, force_insert=True, credential=credential)
        if account.has_room():
            save()
        else:
            with transaction.atomic():
                check_quotas([account.pk], adding=1)
                save()
        return mailbox

    def change(self, values: dict, credential: ApiCredential | None = None) -> None:
        """Set and save these fields, without a lock on the row.

        Raises ChangedMeanwhileError, and saves nothing, if the row has changed since it was read.
        """
        read_version = self.version
        for name, value in values.items():
            setattr(self, name, value)
        self.mark_changed(timezone.now())
        names = {"version", "updated_at", "change_number", *values}
        if "name" in names:
            names |= {"folded_name"}
        if "password" in names:
            names = names - {"password"} | {"password_sealed", "password_is_weak"}
        fields = self.get_history_fields("~", credential)
        if not self.history_writer.update(
            self, fields, PRIMARY, sorted(names), version=read_version
        ):
            raise ChangedMeanwhileError

    def check_pass_code(self, code: str, by_reader=False) -> None:
        """Raise ValidationError unless it is a pass code that may be set.

        With PASS_CODE_POLICY `reject`, a weak one may only stay as it is, and only for a caller
        who reads pass codes: anyone else could find it by trying which is accepted.
        """
        validators.validate_four_digits(code)
        rejects = settings.PASS_CODE_POLICY == "reject"  # noqa: S105  the policy's name
        if rejects and not (by_reader and self.has_pass_code(code)):
            validators.refuse_weak_pass_code(code)

    def set_pass_code(self, code: str) -> None:
        """Set the pass code for a telephone engine, which reads pass codes."""
        self.check_pass_code(code, by_reader=True)
        self.password = code
        self.save()

    def validate_constraints(self, exclude=None):
        """Skip Django's queries: the validators of the fields check the same as the constraints."""

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None

    def soft_delete(self) -> None:
        """Mark the mailbox as deleted, unless it is already. `restore` reverts this."""
        if not self.is_deleted:
            self.deleted_at = timezone.now()
            self.save()

    def restore(self) -> None:
        """Restore a deleted mailbox, in a transaction. Raises AccountFullError."""
        if self.is_deleted:
            check_quotas([self.account_id], adding=1)
            self.deleted_at = None
            self.save()

    def turn_transcription(self, on: bool) -> None:
        if self.transcribe != on:
            self.transcribe = on
            self.save()

    def touch(self) -> None:
        """Raise the version after a change of recipients. This locks the row until commit."""
        self.mark_changed(timezone.now())
        row = Mailbox.objects.filter(pk=self.pk)
        row.update(version=F("version") + 1, updated_at=self.updated_at, change_number=None)
        # Read back, because the caller may have read an older version.
        self.version = row.values_list("version", flat=True).get()

    def next_position(self) -> int:
        """Return the position after the last recipient. The caller must have locked the mailbox."""
        present = [] if self._state.adding else self.email_recipients.all()
        return 1 + max((recipient.position for recipient in present), default=0)

    def recipients_to_add(self, addresses: Iterable[str]) -> list["EmailRecipient"]:
        """Return an unsaved recipient for each address, positioned after the existing ones."""
        return [
            EmailRecipient(mailbox=self, email=address, position=position)
            for position, address in enumerate(addresses, self.next_position())
        ]

    def add_recipient(self, email: str):
        """Add a recipient. Raises ValidationError, with code `unique` or `limit` for a conflict."""
        recipient = EmailRecipient(mailbox=self, email=email)
        recipient.full_clean()
        recipient.save()
        return recipient


class RecipientHistory(models.Model):
    """The place of a recipient's change among those of its mailbox.

    Times do not give it, because a clock may be set back.
    """

    version = models.PositiveIntegerField(
        default=0, db_default=0, help_text="The mailbox's version after the change."
    )

    class Meta:
        abstract = True


class EmailRecipient(Timestamped, HistoryMixin):
    """An address that gets a mailbox's messages by email."""

    uuid = models.UUIDField(_("UUID"), primary_key=True, default=uuid4, editable=False)
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="email_recipients")
    email = models.EmailField(validators=[validators.validate_ascii])
    # Creation times do not give the order, because the clocks of several machines differ.
    position = models.IntegerField(default=0, db_default=0, editable=False)

    parent_field = "mailbox"
    history = history_table(
        RecipientHistory,
        indexes=[
            models.Index(fields=["mailbox", "version"], name="recipient_history_by_version"),
            models.Index(fields=["uuid", "history_id"], name="history_of_recipient"),
        ],
    )

    class Meta(Timestamped.Meta):
        ordering = WITHIN_MAILBOX
        # The index has everything that the API shows, so a list of mailboxes reads only the index.
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
        """Save, and raise the mailbox's version. A new recipient is positioned last."""
        self.mailbox.touch()
        if self._state.adding:
            self.position = self.mailbox.next_position()
        super().save(**kwargs)

    @transaction.atomic
    def delete(self, **kwargs):
        self.mailbox.touch()
        return super().delete(**kwargs)

    def get_history_fields(self, history_type, credential=None):
        fields = super().get_history_fields(history_type, credential)
        return fields | {"version": self.mailbox.version}

    def clean_fields(self, exclude=None):
        self.email = validators.normalize_address(self.email)
        super().clean_fields(exclude)

    def clean(self):
        """Refuse too many recipients. This is only exact if the caller has locked the mailbox."""
        super().clean()
        others = EmailRecipient.objects.filter(mailbox_id=self.mailbox_id).exclude(pk=self.pk)
        if self._state.adding and others.count() >= contract.MAX_RECIPIENTS:
            raise ValidationError(
                _("A mailbox has at most %(most)s recipients."),
                code="limit",
                params={"most": contract.MAX_RECIPIENTS},
            )

    def validate_constraints(self, exclude=None):
        """Report a duplicate address at the field `email`, which the constraint does not name.

        Forms exclude `mailbox`, which would skip the constraint.
        """
        try:
            super().validate_constraints(set(exclude or ()) - {"mailbox"})
        except ValidationError as error:
            raise ValidationError({"email": error.error_dict[NON_FIELD_ERRORS]}) from None
