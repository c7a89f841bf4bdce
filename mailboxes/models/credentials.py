"""API credentials of programs and telephone engines."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address
from uuid import UUID

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import OperationalError, models
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from mailboxes import validators
from mailboxes.db.connections import PRIMARY, fail_if_locked
from mailboxes.db.queries import Param, PreparedQuery, instance_from_row
from mailboxes.db.replica import WalPosition
from mailboxes.models.accounts import ACCOUNT_COLUMNS, Account


class ApiCredentialQuerySet(models.QuerySet):
    def in_force(self, now=None):
        now = now or timezone.now()
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)

    def usable(self, now=None):
        of_active = Q(account=None) | Q(account__is_active=True)
        return self.in_force(now).filter(of_active)

    def mails_for(self, account):
        """Return the credentials of engines that mail the account's messages themselves.

        They belong to the account, to a reseller above it, or to no account, which covers them all.
        """
        above = Account.objects.resellers(account)
        reading = Q(account=None) | Q(account=account) | Q(account__in=above)
        return self.usable().filter(reading, sends_mail=True)

    def just_issued(self, secret):
        """Return the credential that got this secret within the last minute, or None."""
        start = timezone.now() - ApiCredential.REPEATED_WITHIN
        secret_sha256 = ApiCredential.hash(secret)
        return self.in_force().filter(secret_sha256=secret_sha256, created_at__gt=start).first()

    def by_state(self):
        """Return a list, usable credentials first."""
        return sorted(self, key=lambda credential: self.model.State.values.index(credential.state))

    def issue(self, account, name, networks="", expires_at=None, **switches):
        """Return a new credential and its secret, which is not stored. Raises ValidationError.

        The switches are `is_engine` and `sends_mail`.
        """
        credential = self.model(
            account=account, name=name, networks=networks, expires_at=expires_at, **switches
        )
        return credential, credential.issue()


class ApiCredentialManager(models.Manager.from_queryset(ApiCredentialQuerySet)):  # type: ignore[misc]
    def authenticate(
        self, secret, account_name=None, name=None, is_engine=False, query=None, **params
    ):
        """Return the usable credential with this secret and these names, if given; or None.

        Programs and engines cannot use each other's credentials. It is one query, which finds
        nothing whichever part is wrong: the work is the same.

        A prepared `query` with `params` that also reads other columns saves a second query: the
        values are in the credential's `extra_columns`.
        """
        if "\x00" in f"{account_name}{name}":  # PostgreSQL does not accept NUL
            return None
        params |= {"secret_sha256": ApiCredential.hash(secret), "is_engine": is_engine}
        params |= {"account_name": account_name, "name": name}
        for wal_position, *row in (query or BY_SECRET).rows(**params):
            own, row = row[: len(CREDENTIAL_COLUMNS)], row[len(CREDENTIAL_COLUMNS) :]
            account, extra = row[: len(ACCOUNT_COLUMNS)], row[len(ACCOUNT_COLUMNS) :]
            credential = instance_from_row(ApiCredential, CREDENTIAL_COLUMNS, own, PRIMARY)
            credential.wal_position, credential.extra_columns = wal_position, extra
            credential.account = (
                instance_from_row(Account, ACCOUNT_COLUMNS, account, PRIMARY)
                if account[0]
                else None
            )
            # By this machine's clock too: SQLite's has only milliseconds, PostgreSQL's may differ.
            return credential if credential.is_usable else None
        return None


class ApiCredential(models.Model):
    """A name and secret of a program that calls the API, or of a telephone engine."""

    SECRET_PREFIX = "mbx_"  # noqa: S105  public: secret scanners recognise it
    PREFIX_LENGTH = len(SECRET_PREFIX) + 6
    LAST_USED_RESOLUTION = timedelta(minutes=1)
    REPEATED_WITHIN = timedelta(minutes=1)  # a form sent again shows the secret again

    class State(models.TextChoices):
        USABLE = "usable", _("Usable")
        SUSPENDED = "suspended", _("Account suspended")
        EXPIRED = "expired", _("Expired")
        REVOKED = "revoked", _("Revoked")

    account = models.ForeignKey(
        Account,
        on_delete=models.CASCADE,
        related_name="credentials",
        null=True,
        blank=True,
        help_text=_(
            "The account whose mailboxes it gives access to. Empty: all accounts, for an engine only."
        ),
    )
    is_engine = models.BooleanField(
        _("for a telephone engine"),
        default=False,
        help_text=_(
            "Asterisk or FreeSWITCH uses it to look up the mailboxes of the account and its "
            "customers. The API does not accept it."
        ),
    )
    sends_mail = models.BooleanField(
        _("the engine sends the mails"),
        default=False,
        db_default=False,
        help_text=_(
            "The engine mails messages to the recipients itself, as app_voicemail does. So this "
            "service sends no mail for the mailboxes that the engine can look up."
        ),
    )
    name = models.CharField(
        _("name"),
        max_length=64,
        validators=[validators.validate_credential_name],
        help_text=_("The name that a program sends in X-Auth-User, or an engine as its user."),
    )
    prefix = models.CharField(max_length=16, editable=False)
    secret_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    networks = models.TextField(
        _("networks"),
        blank=True,
        validators=[validators.validate_networks],
        help_text=_("Networks that it may be used from, separated by commas. Empty: all networks."),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text=_("The time, in UTC, when it expires. Empty: never.")
    )
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    wal_position: str | None = None  # of the primary when the credential was read
    extra_columns: Sequence = ()  # values of the other columns that its query read

    objects = ApiCredentialManager()
    history = HistoricalRecords(
        excluded_fields=["secret_sha256", "last_used_at"], history_id_field=models.BigAutoField()
    )

    class Meta:
        verbose_name = _("API credential")
        ordering = ["account__name", "name"]
        indexes = [
            models.Index(
                fields=["account"], condition=Q(sends_mail=True), name="engines_that_send_mail"
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "name"],
                name="credential_name_once_per_account",
                violation_error_message=_(
                    "This account has a credential of that name already "
                    "(a revoked one keeps its name): choose another."
                ),
            ),
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(account=None),
                name="credential_name_once_without_account",
                violation_error_message=_(
                    "There is a credential of that name for every account already "
                    "(a revoked one keeps its name): choose another."
                ),
            ),
            models.CheckConstraint(
                condition=Q(account__isnull=False) | Q(is_engine=True),
                name="credential_without_account_is_engine",
            ),
        ]

    def __str__(self):
        return f"{self.account or gettext('all accounts')}: {self.name}"

    def clean(self):
        """Refuse a program's credential without account or with mails, and an expired new one."""
        super().clean()
        if self.sends_mail and not self.is_engine:
            raise ValidationError(
                {
                    "sends_mail": ValidationError(
                        _("Only a telephone engine sends mails: leave this out."), code="no_engine"
                    )
                }
            )
        if not self.account_id and not self.is_engine:
            raise ValidationError(
                {
                    "account": ValidationError(
                        _("Choose an account. Only an engine's credential can be without one."),
                        code="no_account",
                    )
                }
            )
        if self._state.adding and self.expires_at and self.expires_at <= timezone.now():
            raise ValidationError(
                {
                    "expires_at": ValidationError(
                        _("This time is past. Enter one in the future."), code="past"
                    )
                }
            )

    def validate_constraints(self, exclude=None):
        """Report a duplicate name at the field `name`, also in a form without the account."""
        exclude = set(exclude or ())
        if self.account_id or self.is_engine:
            exclude.discard("account")
        try:
            super().validate_constraints(exclude)
        except ValidationError as error:
            raise ValidationError({"name": error.error_dict[NON_FIELD_ERRORS]}) from None

    @classmethod
    def make_secret(cls, form_uuid: UUID | None = None) -> str:
        """Return a new secret; for the same form (`mailboxes.staff.resubmission`), the same one."""
        if form_uuid is None:
            return cls.SECRET_PREFIX + secrets.token_urlsafe(32)
        digest = salted_hmac("mailboxes.secret", form_uuid.bytes, algorithm="sha256").digest()
        return cls.SECRET_PREFIX + urlsafe_b64encode(digest).decode().rstrip("=")

    @staticmethod
    def hash(secret: str) -> str:
        # A secret of 256 random bits cannot be guessed, so it needs no slow hash.
        return hashlib.sha256(secret.encode()).hexdigest()

    def set_secret(self, secret: str) -> None:
        """Store the secret's hash, and its beginning for staff to recognise it."""
        self.prefix = secret[: self.PREFIX_LENGTH]
        self.secret_sha256 = self.hash(secret)

    def issue(self, secret: str = "") -> str:
        """Save the credential with this or a new secret, and return it. Raises ValidationError."""
        secret = secret or self.make_secret()
        self.set_secret(secret)
        self.full_clean()
        self.save()
        return secret

    def login_fields(self, secret: str) -> dict[str, str]:
        """Return the headers of the contract; or the user and password of an engine (RFC 7617)."""
        if self.is_engine or self.account is None:
            return {gettext_noop("User"): self.name, gettext_noop("Password"): secret}
        return {
            "X-Auth-Reseller": self.account.name,
            "X-Auth-User": self.name,
            "X-Auth-Password": secret,
        }

    @property
    def state(self) -> State:
        if self.revoked_at is not None:
            return self.State.REVOKED
        if self.expires_at is not None and self.expires_at <= timezone.now():
            return self.State.EXPIRED
        account = self.account
        if account is not None and not account.is_active:
            return self.State.SUSPENDED
        return self.State.USABLE

    @property
    def is_usable(self) -> bool:
        return self.state == self.State.USABLE

    def allows(self, address: str) -> bool:
        networks = validators.parse_networks(self.networks)
        if not networks:
            return True
        try:
            caller = ip_address(address)
        except ValueError:
            return False
        return any(caller in network for network in networks)

    def revoke(self) -> None:
        """Revoke the credential. If it is revoked already, its time of revocation stays."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])

    def mark_used(self) -> None:
        """Update the time of last use, at most once a minute, and not if it would wait for a lock."""
        now = timezone.now()
        stale = now - self.LAST_USED_RESOLUTION
        if self.last_used_at is not None and self.last_used_at > stale:
            return
        is_stale = Q(last_used_at=None) | Q(last_used_at__lte=stale)
        with suppress(OperationalError), fail_if_locked():
            ApiCredential.objects.filter(is_stale, pk=self.pk).update(last_used_at=now)
            self.last_used_at = now


CREDENTIAL_COLUMNS = [
    *("id", "account_id", "is_engine", "name", "prefix", "networks"),
    *("expires_at", "revoked_at", "last_used_at"),
]
CALLER_COLUMNS = [
    WalPosition(),
    *CREDENTIAL_COLUMNS,
    *(f"account__{name}" for name in ACCOUNT_COLUMNS),
]


def credentials_by_secret():
    """Return a queryset that finds a usable credential by secret and names.

    It has parameters, for prepared queries: `account_name` and `name` may be None, which stands
    for any. All conditions are in it, so a query that adds the account's mailboxes reads none of
    them for a caller who is refused.
    """
    account_name, name = (
        Coalesce(Param(param, models.CharField()), column)
        for param, column in (("account_name", "account__name"), ("name", "name"))
    )
    usable = ApiCredential.objects.order_by().usable(Now())
    return usable.filter(
        Q(account=None) | Q(account__name=account_name),
        secret_sha256=Param("secret_sha256", models.CharField()),
        is_engine=Param("is_engine", models.BooleanField()),
        name=name,
    )


BY_SECRET = PreparedQuery(lambda: credentials_by_secret().values_list(*CALLER_COLUMNS))
