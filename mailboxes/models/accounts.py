"""Accounts: customers and their resellers."""

import re

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Concat
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_cte import CTE, with_cte

from mailboxes import validators
from mailboxes.db.connections import PRIMARY
from mailboxes.db.queries import Param, PreparedQuery, instance_from_row

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
            found = [instance_from_row(Account, ACCOUNT_COLUMNS, row, PRIMARY) for row in rows]
            if self in found:
                return next(account for account in found if account.name == name)
        raise Account.DoesNotExist


# Every call of a program begins with this: with what it takes to judge who calls.
ACCOUNT_COLUMNS = ["id", "name", "is_active"]


WITH_RESELLERS = PreparedQuery(
    lambda: Account.objects.with_resellers(
        name=Param("name", models.CharField()), is_active=True
    ).values_list(*ACCOUNT_COLUMNS)
)
