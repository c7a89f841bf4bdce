"""Filters, order and selected rows of tables, read from the query string."""

import hashlib
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import F, Q
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from mailboxes.db.json import UuidDigits
from mailboxes.filters import HAS_GREETING, HAS_PASS_CODE, HAS_RECIPIENTS, HAS_WEAK_PASS_CODE
from mailboxes.form_fields import AccountNameField
from mailboxes.models import Account, Mailbox
from mailboxes.models.searching import validate_search
from mailboxes.validators import parse_uuid

ORDERS = {
    "account": ["account__name", "name"],
    "name": ["name"],
    "created": ["created_at"],
    "updated": ["updated_at"],
    "deleted": ["deleted_at"],
}
ANY = ("", _("Any"))
TRANSCRIPTION = {"on": Q(transcribe=True), "off": Q(transcribe=False)}
PASS_CODES = {
    "weak": HAS_WEAK_PASS_CODE,
    "none": ~HAS_PASS_CODE,
    "set": HAS_PASS_CODE,
}
RECIPIENTS = {"none": ~HAS_RECIPIENTS, "some": HAS_RECIPIENTS}
GREETINGS = {"none": ~HAS_GREETING, "set": HAS_GREETING}


class TableFilter(forms.Form):
    """Filters in the query string of a table: a search, a state, and others."""

    conditions: dict[str, dict[str, Q]] = {}
    filter_names: list[str] = []  # behind the Filter button
    use_required_attribute = False

    def __init__(self, data):
        super().__init__(data)
        for field in self.fields.values():
            field.required = False

    @property
    def is_deleted(self) -> bool:
        return self.data.get("state") == "deleted"

    @property
    def is_narrowed(self) -> bool:
        """Return True if there is a search or filter besides the state."""
        return any(self.data.get(name) for name in ["q", *self.filter_names])

    @property
    def is_search(self) -> bool:
        return self.is_valid() and bool(self.cleaned_data["q"])

    @property
    def chips(self) -> list[dict]:
        """Return the active filters: label, value, and the query string without the filter."""
        return [
            {
                "label": self[name].label,
                "value": self.get_value_label(name),
                "without": self.query_without(name),
            }
            for name in self.filter_names
            if self.data.get(name)
        ]

    def get_value_label(self, name) -> str:
        value = self.data[name]
        if name in self.conditions:  # the choices of `account` are all accounts
            choices = dict(getattr(self.fields[name], "choices", ()))
            return str(choices.get(value, value))
        return "" if name == "customers" else value

    def query_without(self, name) -> str:
        return "?" + urlencode([(other, value) for other, value in self.query if other != name])

    @property
    def query(self) -> list[tuple[str, str]]:
        """Return the filters that are set, as names and values of the query string."""
        return [(name, self.data[name]) for name in self.fields if self.data.get(name)]

    @property
    def address(self) -> str:
        return urlencode(self.query)


class MailboxFilter(TableFilter):
    """The filters in the query string. Default: every active mailbox, by account and name."""

    q = forms.CharField(
        label=_("Search the mailboxes"),
        validators=[validate_search],
        widget=forms.TextInput(
            {
                "type": "search",
                "autocomplete": "off",
                "placeholder": _("Name, account, recipient or UUID"),
            }
        ),
    )
    state = forms.ChoiceField(
        label=_("State"), choices=[("deleted", _("Deleted"))], widget=forms.HiddenInput
    )
    account = AccountNameField(label=_("Account"))
    customers = forms.BooleanField(label=_("and its customers"))
    transcribe = forms.ChoiceField(
        label=_("Transcription"), choices=[ANY, ("on", _("On")), ("off", _("Off"))]
    )
    pass_code = forms.ChoiceField(
        label=_("Pass code"),
        choices=[ANY, ("weak", _("Weak")), ("none", _("None")), ("set", _("Set"))],
    )
    recipients = forms.ChoiceField(
        label=_("Recipients"), choices=[ANY, ("none", _("None")), ("some", _("Some"))]
    )
    greeting = forms.ChoiceField(
        label=_("Greeting"), choices=[ANY, ("none", _("None")), ("set", _("Set"))]
    )
    order = forms.ChoiceField(
        label=_("Order"),
        choices=[(sign + order, order) for order in ORDERS for sign in ("", "-")],
        widget=forms.HiddenInput,
    )

    conditions = {
        "transcribe": TRANSCRIPTION,
        "pass_code": PASS_CODES,
        "recipients": RECIPIENTS,
        "greeting": GREETINGS,
    }
    filter_names = ["account", "customers", *conditions]

    @property
    def sorting(self) -> dict:
        """Return for each column its `aria-sort` value, and the order that a click sets."""
        current = self.data.get("order") or "account"
        sorting = {order: {"next": order, "is": "none"} for order in ORDERS}
        if current in ORDERS:
            sorting[current] = {"next": f"-{current}", "is": "ascending"}
        elif current[1:] in ORDERS:
            sorting[current[1:]] = {"next": current[1:], "is": "descending"}
        return sorting

    @cached_property
    def mailboxes(self):
        """Return the matching mailboxes in order, or none if a filter is invalid."""
        if not self.is_valid():
            return Mailbox.objects.none()
        values = self.cleaned_data
        mailboxes = Mailbox.objects.filter(deleted_at__isnull=not self.is_deleted)
        for name, conditions in self.conditions.items():
            mailboxes = mailboxes.filter(conditions.get(values[name], Q()))
        if account := values["account"]:
            accounts = Account.objects.tree(account) if values["customers"] else [account]
            mailboxes = mailboxes.filter(account__in=accounts)
        if values["q"]:
            mailboxes = mailboxes.search(values["q"], all_accounts=account is None)
        return mailboxes.order_by(*self.ordering)

    @property
    def ordering(self) -> list:
        order = self.cleaned_data["order"] or "account"
        fields = [*ORDERS[order.removeprefix("-")], "uuid"]  # makes the order unique
        return [F(field).desc() for field in fields] if order.startswith("-") else fields


class Selection:
    """Mailboxes selected by the query string: each `uuid=…`, or `all=on` for the whole table.

    `batch=…` selects the mailboxes whose settings this batch changed. `deleted` limits the
    selection to deleted mailboxes (True) or active ones (False). `condition` is that of the
    mailboxes that a change would change.
    """

    def __init__(self, query, deleted=None, condition=None):
        self.deleted, self.condition = deleted, condition
        self.table = MailboxFilter(query)
        self.batch = next(parse_uuids(query.getlist("batch")), None)
        self.is_all = query.get("all") == "on"
        self.uuids = [] if self.is_all else list(parse_uuids(query.getlist("uuid")))

    @property
    def query(self) -> list[tuple[str, str]]:
        if self.batch:
            return [*self.table.query, ("batch", str(self.batch))]
        chosen = [("all", "on")] if self.is_all else [("uuid", str(uuid)) for uuid in self.uuids]
        return self.table.query + chosen

    @cached_property
    def listed(self):
        """Return the selected mailboxes, deleted and active, in the table's order."""
        if self.is_all:
            return self.table.mailboxes
        of_batch = Mailbox.history.filter(history_batch=self.batch).values("uuid")
        mailboxes = Mailbox.objects.filter(pk__in=of_batch if self.batch else self.uuids)
        return mailboxes.order_by("account__name", "name", "uuid")

    @cached_property
    def mailboxes(self):
        if self.deleted is None:
            return self.listed
        return self.listed.filter(deleted_at__isnull=not self.deleted)

    @cached_property
    def count(self) -> int:
        return self.mailboxes.count()

    @cached_property
    def account_count(self) -> int:
        return self.mailboxes.order_by().values("account").distinct().count()

    @cached_property
    def changing(self):
        return self.mailboxes.filter(self.condition or Q())

    @cached_property
    def versions(self) -> dict[str, int]:
        """Return the version of each mailbox that changes, by the digits of its UUID.

        As text, because objects for many rows take so long that other requests wait.
        """
        return dict(self.changing.order_by("pk").values_list(UuidDigits("pk"), "version"))

    @property
    def unchanged(self) -> int:
        return self.count - len(self.versions)

    @property
    def digest(self) -> str:
        """Return a hash of the mailboxes that will change, and of their versions."""
        rows = (f"{digits} {version}" for digits, version in self.versions.items())
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def parse_uuids(texts):
    """Yield the UUIDs of those texts that are valid ones."""
    for text in texts:
        try:
            yield parse_uuid(text)
        except ValidationError:
            continue
