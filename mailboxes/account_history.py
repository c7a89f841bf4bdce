"""The changes of an account and its credentials, built from their history rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.utils.translation import gettext_lazy as _

from mailboxes.models import Account, ApiCredential
from mailboxes.models.history import START

MODELS = {model._meta.model_name: model for model in (Account, ApiCredential)}
# The fields whose values are shown, with their labels.
FIELDS = {
    Account: {
        "contact_name": _("Contact"),
        "reseller_id": _("Reseller"),
        "message_days": _("Days that messages are kept"),
        "removes_unheard": _("Unheard messages are removed too"),
        "deletes_mailed": _("Messages are deleted once they are mailed"),
    },
    ApiCredential: {
        "is_engine": _("For a telephone engine"),
        "sends_mail": _("The engine sends the mails"),
        "networks": _("Networks"),
        "expires_at": _("Expires"),
    },
}
ACTIONS = {"+": "created", "-": "deleted"}


@dataclass
class AccountChange:
    """A change of an account, or of one of its credentials: old and new values by label."""

    action: str
    at: datetime
    user: object | None
    name: str  # of the account or credential
    is_credential: bool
    steps: list[tuple] = field(default_factory=list)


def list_keys(name: str | None) -> QuerySet:
    """Return keys of the history rows of an account and its credentials, the newest first.

    The account may be deleted. Without a name, the credentials are those of no account. Each key
    is a time, an id and the name of a model.
    """
    accounts, credentials = (
        rows.exclude(history_type=START)
        .annotate(kind=Value(rows.model.instance_type._meta.model_name))
        .values_list("history_date", "history_id", "kind")
        for rows in find_rows(name)
    )
    return accounts.union(credentials, all=True).order_by("-history_date", "-history_id")


def list_deletions() -> QuerySet:
    """Return the history rows of the deletions of accounts, the newest first."""
    return Account.history.filter(history_type="-").select_related("history_user")


def has_older_changes(name: str | None) -> bool:
    """Return True if the history lacks changes: they were removed, or were not recorded yet."""
    return any(rows.filter(history_type=START).exists() for rows in find_rows(name))


def find_rows(name: str | None) -> tuple[QuerySet, QuerySet]:
    accounts = Account.history.filter(name=name).order_by()
    of_account = {"account_id__in": accounts.values("id")} if name else {"account_id": None}
    return accounts, ApiCredential.history.filter(**of_account).order_by()


def load_changes(keys: Iterable[tuple]) -> list[AccountChange]:
    """Return the changes of these keys, in their order, with a fixed number of queries."""
    keys = list(keys)
    changes = {}
    for kind, model in MODELS.items():
        ids = [pk for _at, pk, of_kind in keys if of_kind == kind]
        earlier = model.history.filter(id=OuterRef("id"), history_id__lt=OuterRef("history_id"))
        rows = model.history.filter(history_id__in=ids).select_related("history_user")
        rows = rows.annotate(
            earlier=Subquery(earlier.order_by("-history_id").values("history_id")[:1])
        )
        before = model.history.in_bulk([row.earlier for row in rows if row.earlier])
        names = find_names([*rows, *before.values()]) if model is Account else {}
        for row in rows:
            changes[kind, row.history_id] = describe(model, row, before.get(row.earlier), names)
    return [changes[kind, pk] for _at, pk, kind in keys]


def find_names(rows) -> dict[int, str]:
    """Return the names of the rows' resellers, by id. Deleted ones still have a history."""
    resellers = {row.reseller_id for row in rows}
    return dict(Account.history.filter(id__in=resellers).order_by().values_list("id", "name"))


def describe(model, row, before, names) -> AccountChange:
    return AccountChange(
        ACTIONS.get(row.history_type) or name_action(model, row, before),
        row.history_date,
        row.history_user,
        row.name,
        model is ApiCredential,
        list(list_steps(model, row, before, names)) if row.history_type in "+~" else [],
    )


def name_action(model, row, before) -> str:
    if before and model is ApiCredential and row.revoked_at != before.revoked_at:
        return "revoked"
    if before and model is Account and row.is_active != before.is_active:
        return "reactivated" if row.is_active else "suspended"
    return "changed"


def list_steps(model, row, before, names) -> Iterator[tuple]:
    """Yield label, old and new value of each field that differs, or that a new row sets."""
    for name, label in FIELDS[model].items():
        values = (getattr(state, name, None) for state in (before, row))
        old, new = (None if value is False or value == "" else value for value in values)
        if old != new:
            if name == "reseller_id":
                old, new = names.get(old), names.get(new)
            yield label, old, new
