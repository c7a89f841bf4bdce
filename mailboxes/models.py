"""Accounts, their credentials, their mailboxes and who gets mail from them; and files of these on their way in."""

import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from ipaddress import ip_address
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID, uuid4

import orjson
from django.apps import apps
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DatabaseError, OperationalError, models, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Concat, Length, Lower, Now, Replace, Substr
from django.db.models.lookups import GreaterThanOrEqual, LessThanOrEqual
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop, ngettext
from django.utils.translation import gettext_lazy as _
from django_cte import CTE, with_cte
from simple_history.models import HistoricalRecords

from mailboxes import contract, validators
from mailboxes.keyring import ID_LENGTH, KeyRing, UnknownKeyError
from mailboxes.locks import without_waiting
from mailboxes.replica import PRIMARY, LogEnd
from mailboxes.statements import Given, RecordedWrites, Statement, row_of

# Sorts before every character of an account's name, so that a reseller's
# customers stand right below it.
LINEAGE_SEPARATOR = " / "


class AccountQuerySet(models.QuerySet):
    def tree(self, root):
        """The account and all its customers, direct or further down."""
        return self._reached(Account.objects.filter(pk=root.pk), "reseller")

    def top(self):
        """Those that are nobody's customers."""
        return self.filter(reseller=None)

    def below(self, root):
        """All customers of the account, direct or further down."""
        return self.filter(pk__in=Account.objects.tree(root)).exclude(pk=root.pk)

    def resellers(self, account):
        """The accounts above this one, in no order."""
        return self._reached(Account.objects.filter(customers=account.pk), "customers").order_by()

    def with_resellers(self, **account):
        """The account that these fields find, if any, and the accounts above it, in no order."""
        return self._reached(Account.objects.filter(**account), "customers").order_by()

    def _reached(self, start, relation):
        """Where one comes from `start`, following the relation any number of times; in one query."""

        def reached(cte):
            further = cte.join(Account, **{relation: cte.col.id})
            return start.order_by().values("id").union(further.order_by().values("id"))

        cte = CTE.recursive(reached, name="reached")
        return with_cte(cte, select=cte.join(self, id=cte.col.id))

    def in_tree_order(self, chain=()):
        """Each account right below its reseller, with its `lineage` ("reseller / customer") and `depth`.

        With an account and its resellers, the topmost first, as a `chain`: those of its tree alone.
        """
        start = Account.objects.filter(pk=chain[-1].pk) if chain else Account.objects.top()
        above = LINEAGE_SEPARATOR.join([*(account.name for account in chain[:-1]), ""])

        def lineages(cte):
            tops = start.order_by().values(
                "id",
                lineage=Concat(Value(above), F("name"), output_field=models.TextField()),
                depth=Value(len(chain[:-1]), models.IntegerField()),
            )
            below = (
                cte.join(Account, reseller=cte.col.id)
                .order_by()
                .values(
                    "id",
                    lineage=Concat(
                        cte.col.lineage,
                        Value(LINEAGE_SEPARATOR),
                        F("name"),
                        output_field=models.TextField(),
                    ),
                    depth=cte.col.depth + Value(1, models.IntegerField()),
                )
            )
            return tops.union(below, all=True)

        cte = CTE.recursive(lineages, name="lineages")
        return with_cte(
            cte,
            select=cte.join(self, id=cte.col.id)
            .annotate(lineage=cte.col.lineage, depth=cte.col.depth)
            .order_by("lineage"),
        )

    def search(self, text):
        """Those with the text in their name or their contact's."""
        text = text.replace("\x00", "")  # PostgreSQL knows no NUL
        return self.filter(Q(name__icontains=text) | Q(contact_name__icontains=text))

    def suggest(self, text):
        """Those found by the text, before all others those whose name begins with it."""
        begins = Q(name__istartswith=text.replace("\x00", ""))
        return self.search(text).alias(begins=begins).order_by("-begins", "name")

    def with_counts(self):
        """Each with how many active mailboxes (`mailbox_count`) and usable credentials (`credential_count`) it has."""

        def count(rows):
            of_one = rows.filter(account=OuterRef("pk")).order_by().values("account")
            return Coalesce(Subquery(of_one.annotate(count=Count("pk")).values("count")), 0)

        return self.annotate(
            mailbox_count=count(Mailbox.objects.active()),
            credential_count=count(ApiCredential.objects.usable()),
        )


class Account(models.Model):
    """A customer of the telephone company, or of a reseller that is an account itself."""

    name = models.CharField(
        _("name"),
        max_length=64,
        unique=True,
        validators=[validators.validate_account_name],
        help_text=_("What X-Auth-Reseller and X-Auth-For carry: 3 to 64 of a-z 0-9 - _ ."),
    )
    contact_name = models.CharField(
        _("contact name"), max_length=100, blank=True, validators=[validators.validate_printable]
    )
    reseller = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="customers",
        help_text=_("The account that this one is a customer of, if any."),
    )
    is_active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_(
            "A suspended account's credentials are refused, and calls to its mailboxes turned away; "
            "its customers' still work."
        ),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AccountQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(name__regex=validators.ACCOUNT_NAME), name="account_name_is_plain"
            ),
            models.CheckConstraint(
                condition=~Q(reseller=F("pk")),
                name="account_is_not_its_own_reseller",
                violation_error_message=_("An account cannot be its own reseller."),
            ),
        ]

    def __str__(self):
        return self.name

    def clean(self):
        """Refuse a reseller that is this account itself or, directly or further down, its customer."""
        super().clean()
        if (
            self.pk
            and self.reseller
            and self in [self.reseller, *Account.objects.resellers(self.reseller)]
        ):
            raise ValidationError(
                {
                    "reseller": ValidationError(
                        _(
                            "%(reseller)s is this account or its customer, so it cannot be its reseller."
                        ),
                        code="loop",
                        params={"reseller": self.reseller},
                    )
                }
            )

    def chain(self):
        """Its resellers, the topmost first, the one whose customer it is last."""
        above = {account.pk: account for account in Account.objects.resellers(self)}
        chain, account = [], self
        while account := above.pop(account.reseller_id, None):
            chain.insert(0, account)
        return chain

    def suspend(self) -> None:
        """Refuse its credentials from now on; its customers' still work."""
        self.is_active = False
        self.save(update_fields=["is_active"])

    def reactivate(self) -> None:
        """Take its credentials again."""
        self.is_active = True
        self.save(update_fields=["is_active"])

    def customer(self, name):
        """The active account of that name which this one may act on: itself, or a customer at any depth.

        Raises Account.DoesNotExist.
        """
        if name == self.name:
            return self
        if re.match(validators.ACCOUNT_NAME, name):  # PostgreSQL takes no NUL
            # One query whether there is such an account or not: the time must not tell.
            rows = WITH_RESELLERS.rows(name=name)
            found = [row_of(Account, ACCOUNT, row, PRIMARY) for row in rows]
            if self in found:
                return next(account for account in found if account.name == name)
        raise Account.DoesNotExist


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
        for log_end, *row in statement.rows(**given):
            own, row = row[: len(CREDENTIAL)], row[len(CREDENTIAL) :]
            account, extra = row[: len(ACCOUNT)], row[len(ACCOUNT) :]
            credential = row_of(ApiCredential, CREDENTIAL, own, PRIMARY)
            credential.log_end, credential.extra = log_end, extra
            credential.account = row_of(Account, ACCOUNT, account, PRIMARY) if account[0] else None
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

    log_end: str | None = None  # of the primary, when a call's credential was read there
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

    def mailboxes(self, account_name: str):
        """For an engine: the account's mailboxes that a call may reach, if it may read them."""
        return self._readable(name=account_name).of_account_called(account_name)

    def mailbox(self, uuid: UUID):
        """For an engine: the mailbox, if a call may reach it and the engine may read it; as a queryset."""
        return self._readable(mailboxes=uuid).filter(pk=uuid)

    def _readable(self, **account):
        """The mailboxes that calls may reach; none where this is no credential of the account or one above it."""
        mailboxes = Mailbox.objects.active().filter(account__is_active=True)
        mailboxes = mailboxes.select_related("account")
        if self.account_id is None:
            return mailboxes
        readers = Account.objects.with_resellers(**account)
        return mailboxes.filter(Exists(readers.filter(pk=self.account_id)))

    def mark_used(self) -> None:
        """Write the time of use, at most once a minute. No call waits for it: the next one may write it as well."""
        now = timezone.now()
        stale = now - self.LAST_USED_RESOLUTION
        if self.last_used_at is not None and self.last_used_at > stale:
            return
        is_stale = Q(last_used_at=None) | Q(last_used_at__lte=stale)
        with suppress(OperationalError), without_waiting():
            ApiCredential.objects.filter(is_stale, pk=self.pk).update(last_used_at=now)
            self.last_used_at = now


# Every call of a program begins with this: with what it takes to judge who calls.
ACCOUNT = ["id", "name", "is_active"]
CREDENTIAL = [
    *("id", "account_id", "is_engine", "name", "prefix", "networks"),
    *("expires_at", "revoked_at", "last_used_at"),
]
CALLER = [LogEnd(), *CREDENTIAL, *(f"account__{name}" for name in ACCOUNT)]


def by_secret():
    """The credential with the secret that is given; as a queryset, for a statement that begins with CALLER."""
    return ApiCredential.objects.order_by().filter(
        secret_sha256=Given("secret_sha256", models.CharField()),
        is_engine=Given("is_engine", models.BooleanField()),
    )


WITH_RESELLERS = Statement(
    lambda: Account.objects.with_resellers(
        name=Given("name", models.CharField()), is_active=True
    ).values_list(*ACCOUNT)
)
BY_SECRET = Statement(lambda: by_secret().values_list(*CALLER))


class Sealed:
    """A row of which one column, `SEALED_IN`, holds a text that is sealed to its `owner`."""

    SEALED_IN: str
    pk: int | UUID

    @property
    def owner(self) -> bytes:
        """What the text is sealed to, so that it opens in no other row."""
        raise NotImplementedError

    def open(self) -> str:
        """The text in clear. Raises UnknownKeyError."""
        return settings.PASS_CODE_KEYS.open(getattr(self, self.SEALED_IN), self.owner)

    def seal(self, text: str) -> None:
        """Hold this text, sealed with the first key."""
        setattr(self, self.SEALED_IN, settings.PASS_CODE_KEYS.seal(text, self.owner))

    @staticmethod
    def kinds() -> list:
        """The models that hold a sealed text; the rows of history are among them."""
        models = apps.get_app_config("mailboxes").get_models()
        return [model for model in models if issubclass(model, Sealed)]

    @classmethod
    def under_older_keys(cls):
        """The rows whose text was sealed with another key than the first."""
        sealed = cls._rows().exclude(**{cls.SEALED_IN: None})
        return sealed.exclude(**{f"{cls.SEALED_IN}__startswith": settings.PASS_CODE_KEYS.current})

    @classmethod
    def counts_by_key(cls) -> Counter[str]:
        """How many texts there are, by the name of the key that sealed them."""
        beginning = Substr(cls.SEALED_IN, 1, ID_LENGTH + 1)  # with the colon behind the name
        sealed = cls._rows().exclude(**{cls.SEALED_IN: None}).order_by()
        counts: Counter[str] = Counter()
        for text, count in sealed.values_list(beginning).annotate(Count("pk")):
            counts[KeyRing.key_of(text)] += count
        return counts

    def reseal(self) -> bool:
        """Seal the text anew with the first key, and say so; not if another has come in its place meanwhile.

        What callers see stays as it is, so this is no change: no version, no row of history.
        Raises UnknownKeyError.
        """
        unchanged = self._rows().filter(
            pk=self.pk, **{self.SEALED_IN: getattr(self, self.SEALED_IN)}
        )
        self.seal(self.open())
        return unchanged.update(**{self.SEALED_IN: getattr(self, self.SEALED_IN)}) == 1

    @classmethod
    def _rows(cls):
        return cls._base_manager.all()  # type: ignore[attr-defined]


class SealedPassCode(Sealed):
    """The pass code in clear, over the sealed column. On a mailbox and on each row of its history.

    A property, not a field: a field does not see its row's uuid, to which the code is
    sealed, and a property cannot be looked up by.
    """

    SEALED_IN = "password_sealed"
    uuid: UUID
    password_sealed: str | None
    password_is_weak: bool

    @property
    def owner(self) -> bytes:
        return self.uuid.bytes

    @property
    def password(self) -> str | None:
        """Four digits, or None. Raises UnknownKeyError."""
        return None if self.password_sealed is None else self.open()

    @password.setter
    def password(self, code: str | None) -> None:
        if code is None:
            self.password_sealed = None
        else:
            self.seal(code)
        self.password_is_weak = code is not None and validators.is_weak_pass_code(code)

    @property
    def has_lost_pass_code(self) -> bool:
        """Whether it has a pass code that no key opens."""
        return self.password_sealed is not None and self.value("password") == self.password_sealed

    def value(self, field: str):
        """The field, to be compared; in place of a pass code that no key opens, its sealed text."""
        try:
            return getattr(self, field)
        except UnknownKeyError:
            return self.password_sealed

    def take(self, row: "SealedPassCode", fields) -> None:
        """Set these fields as they are in a row of the same mailbox, the pass code sealed as it is."""
        for field in fields:
            if field == "password":
                self.password_sealed = row.password_sealed
                self.password_is_weak = row.password_is_weak
            else:
                setattr(self, field, getattr(row, field))


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


class Author(models.Model):
    """Who made a row of history, beside simple-history's `history_user`: a program's credential; and in which batch."""

    history_credential = models.ForeignKey(
        ApiCredential, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    history_batch = models.ForeignKey(Batch, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        abstract = True


class Records(HistoricalRecords):
    """simple-history's rows beside each change, with whose change it was: a person's, or a program's."""

    def create_history_model(self, model, inherited):
        made = super().create_history_model(model, inherited)
        model.writes = RecordedWrites(model, made)
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


def history(*bases):
    """A table of every state a row was in, with its author."""
    return Records(bases=[Author, *bases], history_id_field=models.BigAutoField(primary_key=True))


class Recorded(models.Model):
    """A row that is written together with its row of history; `writes` is how."""

    writes: RecordedWrites

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
            self, Records.history_fields("~", credential), using, update_fields or ()
        )
        if not is_updated and (update_fields or force_update):
            raise DatabaseError("There is no such row any more.")
        if not is_updated:
            self.writes.insert(self, Records.history_fields("+", credential), using)
        self._state.db, self._state.adding = using, False


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


def retained_since() -> datetime:
    """What was deleted after this moment can be restored."""
    return timezone.now() - timedelta(days=settings.RETENTION_DAYS)


class ChangedMeanwhileError(Exception):
    """A mailbox is no longer as it was when it was looked at."""


class MailboxQuerySet(models.QuerySet):
    def active(self):
        """Those that are not deleted."""
        return self.filter(deleted_at=None)

    def of_account_called(self, name):
        """Those of the account that has this name, if there is one."""
        if "\x00" in name:  # PostgreSQL knows no NUL
            return self.none()
        return self.filter(account__name=name)

    def past_retention(self):
        """Those deleted so long ago that they cannot be restored any more."""
        return self.filter(deleted_at__lte=retained_since())

    def restorable(self):
        """Those that are active, and those deleted within the retention time."""
        return self.exclude(deleted_at__lte=retained_since())

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


class Mailbox(SealedPassCode, Timed, Recorded):
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
    history = history(SealedPassCode)

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
        fields = Records.history_fields("~", credential)
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


class EmailRecipient(Timed, Recorded):
    """An address that a mailbox's messages are mailed to."""

    uuid = models.UUIDField(_("UUID"), primary_key=True, default=uuid4, editable=False)
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="email_recipients")
    email = models.EmailField(validators=[validators.validate_ascii])
    # The days do not tell the order: clocks of several machines differ.
    position = models.IntegerField(default=0, db_default=0, editable=False)

    history = history()

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


class IdempotentAnswerQuerySet(models.QuerySet):
    def current(self):
        """Those that are still given again."""
        return self.filter(created_at__gt=timezone.now() - IdempotentAnswer.KEPT)

    def past(self):
        """Those that are not given again any more."""
        return self.filter(created_at__lte=timezone.now() - IdempotentAnswer.KEPT)

    def keep(self, account, key, fingerprint, status, body):
        """Keep the answer, in place of one whose time is over."""
        self.past().filter(account=account, key=key).delete()
        answer = self.model(account=account, key=key, fingerprint=fingerprint, status=status)
        answer.body = body
        answer.save()
        return answer


class IdempotentAnswer(Sealed, models.Model):
    """The first answer to a call with an Idempotency-Key, to be given again."""

    SEALED_IN = "body_sealed"
    KEPT = timedelta(days=1)

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body_sealed = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = IdempotentAnswerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "key"], name="key_once_per_account")
        ]

    def __str__(self):
        return f"{self.account}: {self.key}"

    @property
    def body(self) -> str:
        """In clear: sealed, because a mailbox's pass code is in it. Raises UnknownKeyError."""
        return self.open()

    @body.setter
    def body(self, text: str) -> None:
        self.seal(text)

    @property
    def owner(self) -> bytes:
        return f"{self.account_id}:{self.key}".encode()


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


class ImportRow(Sealed, models.Model):
    """A row of such a file, numbered as in the file, and what comes of it once it is checked."""

    SEALED_IN = "cells_sealed"

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
        return orjson.loads(self.open())

    @cells.setter
    def cells(self, cells: dict[str, str]) -> None:
        self.seal(orjson.dumps(cells).decode())

    @property
    def owner(self) -> bytes:
        return f"{self.source_id}:{self.number}".encode()


class ServerProcessQuerySet(models.QuerySet):
    def alive(self):
        """Return the processes that still run, as far as the database has heard."""
        return self.filter(seen_at__gt=Now() - ServerProcess.FORGOTTEN_AFTER)

    def lagging(self):
        """Return the live processes that encrypt with another key than the first of PASS_CODE_KEYS."""
        return self.alive().exclude(key=settings.PASS_CODE_KEYS.current)

    def past(self):
        """Return the processes that ended over a day ago without deleting their row."""
        return self.filter(seen_at__lte=Now() - ServerProcess.KEPT)


class ServerProcess(models.Model):
    """A process of the server, and the key that it encrypts with; see `processes.Heartbeat`.

    Both times are by the database's clock: clocks of several machines differ.
    """

    FORGOTTEN_AFTER = timedelta(minutes=3)
    KEPT = timedelta(days=1)

    # Containers on one host may share its name and process ids.
    uuid = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    key = models.CharField(max_length=ID_LENGTH)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())

    objects = ServerProcessQuerySet.as_manager()

    class Meta:
        ordering = ["host", "started_at", "pid"]

    def __str__(self):
        return f"{self.host}, process {self.pid}, running since {self.started_at:%Y-%m-%d %H:%M:%S} UTC"
