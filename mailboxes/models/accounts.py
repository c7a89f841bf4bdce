"""Accounts: customers and their resellers."""

import re
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import ExpressionWrapper, F, Q, Subquery, Value
from django.db.models.functions import Coalesce, Concat, Least
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_cte import CTE, with_cte
from redis.exceptions import RedisError
from simple_history.models import HistoricalRecords

from mailboxes import validators
from mailboxes.db.cache import pause_if_down
from mailboxes.db.connections import PRIMARY
from mailboxes.db.queries import Param, PreparedQuery, instance_from_row
from mailboxes.models.searching import FoldedField, contains, split_words

# It sorts before every character of an account's name, so that customers follow their reseller.
LINEAGE_SEPARATOR = " / "

REFUSAL_STEPS = 16  # resellers that are followed before an account is refused

# More mailboxes than the service can create for one account in this time.
ROOM, ROOM_SECONDS = 10_000, 5

MAX_DAYS = 36_500  # no time is before the year 1


class AccountFullError(ValidationError):
    """The account has as many active mailboxes as the service allows, or would have more."""

    def __init__(self, account):
        text = _(
            "The account “%(account)s” can have at most %(most)s active mailboxes. "
            "Ask your administrator for more (MAX_MAILBOXES_PER_ACCOUNT)."
        )
        most = f"{settings.MAX_MAILBOXES_PER_ACCOUNT:,}"
        super().__init__(text % {"account": account, "most": most}, code="limit")


class AccountQuerySet(models.QuerySet):
    def tree(self, root):
        """Return the account and its customers of all levels."""
        return self.trees(Account.objects.filter(pk=root.pk))

    def trees(self, roots):
        """Return these accounts and their customers of all levels."""
        return self._follow(roots, "reseller")

    def below(self, root):
        return self.filter(pk__in=Account.objects.tree(root)).exclude(pk=root.pk)

    def resellers(self, account):
        """Return the account's reseller, that one's reseller, and so on, unordered."""
        return self._follow(Account.objects.filter(customers=account.pk), "customers").order_by()

    def reached_from(self, root, **account):
        """Return the account with these fields if it is the root or below it. `root` is an id.

        The work is the same whether such an account is elsewhere or does not exist, so that the
        time reveals nothing: REFUSAL_STEPS steps up the resellers, then at the top, and from any
        other account if none has these fields. Only an account with more resellers takes more.
        """
        sought = Subquery(Account.objects.filter(**account).order_by().values("id"))
        other = Subquery(Account.objects.exclude(pk=root).order_by("id").values("id")[:1])

        def build(cte):
            start = Account.objects.filter(pk=root).order_by()
            following = (
                cte.join(Account, id=cte.col.above)
                .annotate(found=ExpressionWrapper(cte.col.found, models.BigIntegerField()))
                .filter(Q(found=None) | ~Q(pk=root))
                .order_by()
            )
            step = Least(cte.col.step + Value(1, models.IntegerField()), Value(REFUSAL_STEPS))
            # A union ends when a row repeats: when it stays at the top, or if there is a loop.
            return start.values(
                found=sought, above=Coalesce(sought, other), step=Value(0, models.IntegerField())
            ).union(following.values("found", above=Coalesce("reseller_id", "id"), step=step))

        cte = CTE.recursive(build, name="followed")
        found = cte.join(self, id=cte.col.found).annotate(above=cte.col.above)
        return with_cte(cte, select=found.filter(above=root).order_by())

    def _follow(self, start, relation):
        """Return accounts reached from `start` by the relation, at any distance, with one query."""

        def build(cte):
            following = cte.join(Account, **{relation: cte.col.id})
            return start.order_by().values("id").union(following.order_by().values("id"))

        cte = CTE.recursive(build, name="reached")
        return with_cte(cte, select=cte.join(self, id=cte.col.id))

    def in_tree_order(self, chain=()):
        """Order by `lineage` ("reseller / customer"), and add `lineage` and `depth`.

        A `chain` of an account and its resellers, topmost first, limits them to its tree.
        """
        top = {"pk": chain[-1].pk} if chain else {"reseller": None}
        start = Account.objects.filter(**top)
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

    def just_created(self, account):
        """Return the account with the same values that was created within the last minute."""
        values = {name: getattr(account, name) for name in ("name", "contact_name", "reseller")}
        start = timezone.now() - timedelta(minutes=1)
        return self.filter(**values, created_at__gt=start).first()

    def search(self, text):
        """Return the accounts with every word in their names.

        Raises ValidationError if the words are too many.
        """
        matches = [
            Q(name__icontains=word) | contains("contact_name", word) for word in split_words(text)
        ]
        return self.filter(*matches)

    def suggest(self, text):
        """Search accounts; those whose name begins with the text come first."""
        try:
            found = self.search(text)
        except ValidationError:
            return self.none()
        begins = Q(name__istartswith=text.replace("\x00", ""))
        return found.alias(begins=begins).order_by("-begins", "name")


class Account(models.Model):
    """A customer of the telephone company, or of a reseller that is an account itself."""

    name = models.CharField(
        _("name"),
        max_length=64,
        unique=True,
        validators=[validators.validate_account_name],
        help_text=_(
            "The name that programs send in X-Auth-Reseller, or in X-Auth-For to act for a customer. "
            "3 to 64 of a-z 0-9 - _ ."
        ),
    )
    contact_name = models.CharField(
        _("contact name"), max_length=100, blank=True, validators=[validators.validate_printable]
    )
    folded_contact_name = FoldedField(default="", db_default="", blank=True, editable=False)
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
            "If an account is suspended, its credentials are refused and its mailboxes take no calls. "
            "Its customers are not affected."
        ),
    )
    message_days = models.PositiveIntegerField(
        _("days that messages are kept"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(MAX_DAYS)],
        help_text=_(
            "Messages received longer ago are removed for good. 0: they are kept for ever. "
            "Empty: the days that are set for all accounts (MESSAGE_RETENTION_DAYS)."
        ),
    )
    removes_unheard = models.BooleanField(
        _("unheard messages are removed too"),
        default=False,
        db_default=False,
        help_text=_("Otherwise messages that nobody has heard are kept until they are deleted."),
    )
    deletes_mailed = models.BooleanField(
        _("messages are deleted once they are mailed"),
        default=False,
        db_default=False,
        help_text=_(
            "A message is deleted when all recipients have its mail. It can be restored like any other."
        ),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AccountQuerySet.as_manager()
    history = HistoricalRecords(
        excluded_fields=["folded_contact_name"], history_id_field=models.BigAutoField()
    )

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
        """Refuse a reseller that is this account or one of its customers of any level."""
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
        """Return the account's resellers, topmost first."""
        above = {account.pk: account for account in Account.objects.resellers(self)}
        chain, account = [], self
        while account := above.pop(account.reseller_id, None):
            chain.insert(0, account)
        return chain

    def has_room(self) -> bool:
        """Return True if the account could have ROOM more mailboxes within the last ROOM_SECONDS.

        Fewer are created in that time, so most creations need neither a lock nor a count.
        """
        most = settings.MAX_MAILBOXES_PER_ACCOUNT - ROOM
        if most < 0:
            return False
        key = f"room:{self.pk}"
        with suppress(RedisError), pause_if_down():
            if cache.get(key):
                return True
        if self.mailboxes.active()[: most + 1].count() > most:
            return False
        with suppress(RedisError), pause_if_down():
            cache.set(key, True, ROOM_SECONDS)
        return True

    @property
    def kept_days(self) -> int:
        """Return the days that messages are kept; 0 stands for ever."""
        own = self.message_days
        return settings.MESSAGE_RETENTION_DAYS if own is None else own

    def suspend(self) -> None:
        """Refuse the account's credentials. Those of its customers still work."""
        self.is_active = False
        self.save(update_fields=["is_active"])

    def reactivate(self) -> None:
        self.is_active = True
        self.save(update_fields=["is_active"])

    def get_customer(self, name):
        """Return the account itself or its active customer, of any level. Raises DoesNotExist."""
        if name == self.name:
            return self
        if re.match(validators.ACCOUNT_NAME, name):  # PostgreSQL does not accept NUL
            for row in REACHED_BY_NAME.rows(value=name, root=self.pk):
                return instance_from_row(Account, ACCOUNT_COLUMNS, row, PRIMARY)
        raise Account.DoesNotExist


ACCOUNT_COLUMNS = ["id", "name", "is_active"]  # that every API call needs


def reached_account(**lookup) -> PreparedQuery:
    return PreparedQuery(
        lambda: Account.objects.reached_from(
            Param("root", models.BigIntegerField()), is_active=True, **lookup
        ).values_list(*ACCOUNT_COLUMNS)
    )


REACHED_BY_NAME = reached_account(name=Param("value", models.CharField()))
REACHED_BY_MAILBOX = reached_account(mailboxes=Param("value", models.UUIDField()))
