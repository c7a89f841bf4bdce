"""The table of mailboxes as its address asks for it: which rows and in what order, and which of them are meant."""

import hashlib
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import F, Q
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from mailboxes.filters import HAS_GREETING, HAS_PASS_CODE, HAS_RECIPIENTS, HAS_WEAK_PASS_CODE
from mailboxes.forms import AccountNameField
from mailboxes.models import Account, Mailbox
from mailboxes.validators import parse_uuid

ORDERS = {
    "account": ["account__name", "name"],
    "name": ["name"],
    "created": ["created_at"],
    "updated": ["updated_at"],
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


class MailboxFilter(forms.Form):
    """What the address asks the table for. Empty: every active mailbox, by account and name."""

    q = forms.CharField(
        label=_("Search the mailboxes"),
        max_length=254,
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
    narrowing = ["account", "customers", *conditions]  # behind the Filter button
    use_required_attribute = False

    def __init__(self, data):
        super().__init__(data)
        for field in self.fields.values():
            field.required = False

    @property
    def is_deleted(self) -> bool:
        """Whether the deleted mailboxes are asked for."""
        return self.data.get("state") == "deleted"

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the state and the order is asked for."""
        return any(self.data.get(name) for name in ["q", *self.narrowing])

    @property
    def chips(self) -> list[dict]:
        """What is asked for behind the Filter button: its words, and the address without it."""
        return [
            {"label": self[name].label, "value": self.in_words(name), "without": self.without(name)}
            for name in self.narrowing
            if self.data.get(name)
        ]

    def in_words(self, name) -> str:
        value = self.data[name]
        if name in self.conditions:  # the account's choices are all the accounts there are
            choices = dict(getattr(self.fields[name], "choices", ()))
            return str(choices.get(value, value))
        return "" if name == "customers" else value

    def without(self, name) -> str:
        return "?" + urlencode([(other, value) for other, value in self.query if other != name])

    @property
    def query(self) -> list[tuple[str, str]]:
        """What it asks for, as the names and values of an address."""
        return [(name, self.data[name]) for name in self.fields if self.data.get(name)]

    @property
    def address(self) -> str:
        """The same, as one text."""
        return urlencode(self.query)

    @property
    def sorting(self) -> dict:
        """For each order, how the rows stand in it now and what a click on its column asks for."""
        now = self.data.get("order") or "account"
        sorting = {order: {"next": order, "is": "none"} for order in ORDERS}
        if now in ORDERS:
            sorting[now] = {"next": f"-{now}", "is": "ascending"}
        elif now[1:] in ORDERS:
            sorting[now[1:]] = {"next": now[1:], "is": "descending"}
        return sorting

    @cached_property
    def mailboxes(self):
        """The rows, in order; none where the address asks for something that makes no sense."""
        if not self.is_valid():
            return Mailbox.objects.none()
        wanted = self.cleaned_data
        mailboxes = Mailbox.objects.filter(deleted_at__isnull=not self.is_deleted)
        for name, conditions in self.conditions.items():
            mailboxes = mailboxes.filter(conditions.get(wanted[name], Q()))
        if account := wanted["account"]:
            accounts = Account.objects.tree(account) if wanted["customers"] else [account]
            mailboxes = mailboxes.filter(account__in=accounts)
        if wanted["q"]:
            mailboxes = mailboxes.search(wanted["q"], all_accounts=account is None)
        order = wanted["order"] or "account"
        fields = [*ORDERS[order.removeprefix("-")], "uuid"]  # no two rows are alike
        if order.startswith("-"):
            return mailboxes.order_by(*(F(field).desc() for field in fields))
        return mailboxes.order_by(*fields)


class Selection:
    """The mailboxes meant by an address: those that it names, or all that the table shows.

    `uuid=…` as often as there are rows, or `all=on` beside the table's own words. `deleted` says
    that only the deleted ones among them are meant, or only the others.
    """

    def __init__(self, query, deleted=None):
        self.deleted = deleted
        self.table = MailboxFilter(query)
        self.is_all = query.get("all") == "on"
        self.uuids = [] if self.is_all else list(parsed(query.getlist("uuid")))

    @property
    def query(self) -> list[tuple[str, str]]:
        """The address's own names and values."""
        chosen = [("all", "on")] if self.is_all else [("uuid", str(uuid)) for uuid in self.uuids]
        return self.table.query + chosen

    @cached_property
    def named(self):
        """All that the address names, in the table's order."""
        if self.is_all:
            return self.table.mailboxes
        named = Mailbox.objects.filter(pk__in=self.uuids)
        return named.order_by("account__name", "name", "uuid")

    @cached_property
    def mailboxes(self):
        """Those of them that are meant."""
        if self.deleted is None:
            return self.named
        return self.named.filter(deleted_at__isnull=not self.deleted)

    @cached_property
    def versions(self) -> dict:
        """Each mailbox's version, by its uuid."""
        return dict(self.mailboxes.values_list("pk", "version"))

    @property
    def digest(self) -> str:
        """Stands for these mailboxes as they are now: another one after any change of any of them."""
        rows = sorted(f"{uuid} {version}" for uuid, version in self.versions.items())
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def parsed(texts):
    """The UUIDs among the texts."""
    for text in texts:
        try:
            yield parse_uuid(text)
        except ValidationError:
            continue
