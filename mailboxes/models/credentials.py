"""API credentials of programs and telephone engines."""

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import OperationalError, models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from mailboxes import validators
from mailboxes.db.connections import PRIMARY, skip_if_locked
from mailboxes.db.queries import Param, PreparedQuery, instance_from_row
from mailboxes.db.replica import WalPosition
from mailboxes.models.accounts import ACCOUNT_COLUMNS, Account


class ApiCredentialQuerySet(models.QuerySet):
    def in_force(self):
        """Those neither revoked nor expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)

    def usable(self):
        """Those in force, of accounts that are not suspended."""
        of_active = Q(account=None) | Q(account__is_active=True)
        return self.in_force().filter(of_active)

    def by_state(self):
        """A list of them, those that are usable first."""
        return sorted(self, key=lambda credential: self.model.State.values.index(credential.state))

    def issue(self, account, name, networks="", expires_at=None, is_engine=False):
        """A new credential and its secret, which is told here and never again. Raises ValidationError."""
        credential = self.model(
            account=account,
            name=name,
            networks=networks,
            expires_at=expires_at,
            is_engine=is_engine,
        )
        return credential, credential.issue()


class ApiCredentialManager(models.Manager.from_queryset(ApiCredentialQuerySet)):  # type: ignore[misc]
    def authenticate(
        self, secret, account_name=None, name=None, is_engine=False, statement=None, **given
    ):
        """Return the usable credential with this secret and, if given, these names; or None.

        A program's, or an engine's: neither stands for the other. Found by the secret's hash
        whatever its form, in one query whichever part is wrong, and compared in constant time.
        A `statement` that reads more columns than BY_SECRET, with the values `given` to it, saves
        a second query: the columns are in the credential's `extra`.
        """
        statement = statement or BY_SECRET
        hashed = ApiCredential.hash(secret)
        found = self._with_secret(statement, secret_sha256=hashed, is_engine=is_engine, **given)
        return self._judged(found, account_name, name)

    def _judged(self, credential, account_name, name):
        """The credential, if there is one, it is usable, and these are its names."""
        known = credential or ApiCredential(account=Account())
        names_match = [
            secrets.compare_digest(given.encode(), held.encode())
            for given, held in ((account_name, str(known.account)), (name, known.name))
            if given is not None
        ]
        return credential if credential and all(names_match) and credential.is_usable else None

    def _with_secret(self, statement, **given):
        """Return the credential that the statement finds, with its account; or None."""
        for wal_position, *row in statement.rows(**given):
            own, row = row[: len(CREDENTIAL_COLUMNS)], row[len(CREDENTIAL_COLUMNS) :]
            account, extra = row[: len(ACCOUNT_COLUMNS)], row[len(ACCOUNT_COLUMNS) :]
            credential = instance_from_row(ApiCredential, CREDENTIAL_COLUMNS, own, PRIMARY)
            credential.wal_position, credential.extra = wal_position, extra
            credential.account = (
                instance_from_row(Account, ACCOUNT_COLUMNS, account, PRIMARY)
                if account[0]
                else None
            )
            return credential
        return None


class ApiCredential(models.Model):
    """What a program shows to call the API for an account; or a telephone engine, to read mailboxes."""

    SECRET_PREFIX = "mbx_"  # noqa: S105  public: it tells a secret scanner whose it is
    SHOWN = len(SECRET_PREFIX) + 6
    LAST_USED_RESOLUTION = timedelta(minutes=1)

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
        help_text=_("Whose mailboxes it is for. Empty, for an engine: every account's."),
    )
    is_engine = models.BooleanField(
        _("for a telephone engine"),
        default=False,
        help_text=_(
            "Asterisk or FreeSWITCH looks up the mailboxes of the account and its customers "
            "with it; the API refuses it."
        ),
    )
    name = models.CharField(
        _("name"),
        max_length=64,
        validators=[validators.validate_credential_name],
        help_text=_("What X-Auth-User carries."),
    )
    prefix = models.CharField(max_length=16, editable=False)
    secret_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    networks = models.TextField(
        _("networks"),
        blank=True,
        validators=[validators.validate_networks],
        help_text=_("Where calls may come from: networks separated by commas. Empty: anywhere."),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When it ends, in UTC. Empty: never.")
    )
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    wal_position: str | None = None  # of the primary, when a call's credential was read there
    extra: Sequence = ()  # the columns that its statement read besides

    objects = ApiCredentialManager()

    class Meta:
        verbose_name = _("API credential")
        ordering = ["account__name", "name"]
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
        """Refuse to issue what has expired already, and what calls the API for nobody."""
        super().clean()
        if not self.account_id and not self.is_engine:
            raise ValidationError(
                {
                    "account": ValidationError(
                        _("Name an account: only an engine may do without."), code="no_account"
                    )
                }
            )
        if self._state.adding and self.expires_at and self.expires_at <= timezone.now():
            raise ValidationError(
                {
                    "expires_at": ValidationError(
                        _("Give a time to come; this one is past."), code="past"
                    )
                }
            )

    def validate_constraints(self, exclude=None):
        """Refuse a name twice, at the name: a form that knows the account already would skip the constraint."""
        exclude = set(exclude or ())
        if self.account_id or self.is_engine:
            exclude.discard("account")
        try:
            super().validate_constraints(exclude)
        except ValidationError as error:
            raise ValidationError({"name": error.error_dict[NON_FIELD_ERRORS]}) from None

    @classmethod
    def make_secret(cls) -> str:
        """A new secret of 256 random bits."""
        return cls.SECRET_PREFIX + secrets.token_urlsafe(32)

    @staticmethod
    def hash(secret: str) -> str:
        # A secret of 256 random bits needs no slow hash: nobody can guess it.
        return hashlib.sha256(secret.encode()).hexdigest()

    def set_secret(self, secret: str) -> None:
        """Keep what is needed to recognise the secret, not the secret."""
        self.prefix = secret[: self.SHOWN]
        self.secret_sha256 = self.hash(secret)

    def issue(self) -> str:
        """Save it with a new secret, which is told here and never again. Raises ValidationError."""
        secret = self.make_secret()
        self.set_secret(secret)
        self.full_clean()
        self.save()
        return secret

    def carried(self, secret: str) -> dict[str, str]:
        """How a caller shows it: the contract's headers, or an engine's user and password (RFC 7617)."""
        if self.is_engine or self.account is None:
            return {gettext_noop("User"): self.name, gettext_noop("Password"): secret}
        return {
            "X-Auth-Reseller": self.account.name,
            "X-Auth-User": self.name,
            "X-Auth-Password": secret,
        }

    @property
    def state(self) -> State:
        """Whether a call with it is taken, and if not, why."""
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
        """Neither revoked nor expired, and of an account that is not suspended."""
        return self.state == self.State.USABLE

    def allows(self, address: str) -> bool:
        """Whether a call may come from this address."""
        networks = validators.parse_networks(self.networks)
        if not networks:
            return True
        try:
            caller = ip_address(address)
        except ValueError:
            return False
        return any(caller in network for network in networks)

    def revoke(self) -> None:
        """Refuse it from now on. Revoking again changes nothing."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])

    def mark_used(self) -> None:
        """Write the time of use, at most once a minute. No call waits for it: the next one may write it as well."""
        now = timezone.now()
        stale = now - self.LAST_USED_RESOLUTION
        if self.last_used_at is not None and self.last_used_at > stale:
            return
        is_stale = Q(last_used_at=None) | Q(last_used_at__lte=stale)
        with suppress(OperationalError), skip_if_locked():
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
    """The credential with the secret that is given; as a queryset, for a statement that begins with CALLER."""
    return ApiCredential.objects.order_by().filter(
        secret_sha256=Param("secret_sha256", models.CharField()),
        is_engine=Param("is_engine", models.BooleanField()),
    )


BY_SECRET = PreparedQuery(lambda: credentials_by_secret().values_list(*CALLER_COLUMNS))
