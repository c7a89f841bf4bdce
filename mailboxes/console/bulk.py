"""The form of a change of many mailboxes, and which mailboxes each setting changes."""

from dataclasses import dataclass
from functools import reduce
from operator import or_
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import Lower
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from mailboxes import validators
from mailboxes.contract import MAX_RECIPIENTS
from mailboxes.form_fields import NO_CORRECTION, AddressesField
from mailboxes.forms import SWITCHES, list_missing
from mailboxes.models import Account, EmailRecipient, Mailbox
from mailboxes.models.sounds import find_greeting, name_greetings

MOST_ACCOUNTS = 20  # in which a greeting is looked up by its name
MOST_FULL = 6  # mailboxes without room for another recipient: the page names five

# The recipients of a mailbox. An index has the address in lower case.
RECIPIENTS = EmailRecipient.objects.filter(mailbox=OuterRef("pk")).alias(address=Lower("email"))


@dataclass
class Effect:
    """A setting, its new value, and the condition of the mailboxes that it changes."""

    label: object
    value: object
    condition: Q
    count: int = 0  # of the mailboxes that it changes


class SettingsForm(forms.Form):
    """Settings to change in many mailboxes; those not chosen stay unchanged."""

    UNCHANGED = ("", _("Do not change"))

    password = forms.ChoiceField(
        label=_("Pass code"),
        required=False,
        choices=[UNCHANGED, ("new", _("Generate a new one for each"))],
        help_text=_(
            "None of the new ones is easy to guess. The present ones stop working. On the next "
            "page you can download the new ones as CSV."
        ),
    )
    greeting = forms.ChoiceField(
        label=_("Greeting"),
        required=False,
        choices=[UNCHANGED, ("none", _("Remove")), ("set", _("Choose another"))],
    )
    sound = forms.CharField(
        label=_("Name or UUID of the greeting"),
        required=False,
        widget=forms.TextInput({"size": 36}),
    )
    add = AddressesField(
        label=_("Add recipients"),
        required=False,
        widget=forms.Textarea(NO_CORRECTION | {"rows": 2}),
        help_text=_("Email addresses, separated by commas, semicolons, spaces or new lines."),
    )
    remove = AddressesField(
        label=_("Remove recipients"),
        required=False,
        widget=forms.Textarea(NO_CORRECTION | {"rows": 2}),
        help_text=_("From each mailbox that has them."),
    )

    def __init__(self, data, mailboxes):
        # A prefix, because filters of the same names are in the query string too.
        super().__init__(data, prefix="to")
        self.mailboxes = mailboxes
        for name in SWITCHES:
            label = capfirst(Mailbox._meta.get_field(name).verbose_name)
            choices = [self.UNCHANGED, ("on", _("On")), ("off", _("Off"))]
            self.fields[name] = forms.ChoiceField(label=label, required=False, choices=choices)

    def clean_sound(self):
        if self.cleaned_data.get("greeting") != "set":
            return None
        text = self.cleaned_data["sound"]
        if not text:
            raise ValidationError(_("Enter a name or UUID."), code="required")
        if validators.is_uuid(text):
            return UUID(text)
        found = Account.objects.filter(pk__in=self.mailboxes.order_by().values("account"))
        accounts = found.order_by("name")[: MOST_ACCOUNTS + 1]
        if len(accounts) > MOST_ACCOUNTS:
            raise ValidationError(
                _("The mailboxes belong to more than %(most)s accounts. Enter a UUID."),
                params={"most": MOST_ACCOUNTS},
            )
        sounds = {find_greeting(text, account) for account in accounts}
        if len(sounds) > 1:
            raise ValidationError(
                _("Accounts have different greetings of this name. Enter the UUID of one.")
            )
        return sounds.pop() if sounds else None

    def clean_remove(self):
        added = {address.lower() for address in self.cleaned_data.get("add", [])}
        for address in self.cleaned_data["remove"]:
            if address.lower() in added:
                error = _("This address is also among those to add.")
                raise self.fields["remove"].name_address(address, error)
        return self.cleaned_data["remove"]

    def get_addresses(self, name) -> list[str]:
        return [address.lower() for address in self.cleaned_data[name]]

    @property
    def new_values(self) -> dict:
        """Return the chosen settings by field name, except for pass code and recipients."""
        values = {
            name: self.cleaned_data[name] == "on" for name in SWITCHES if self.cleaned_data[name]
        }
        if self.cleaned_data["greeting"]:
            values["greeting"] = self.cleaned_data["sound"]
        return values

    @property
    def makes_pass_codes(self) -> bool:
        return self.is_valid() and bool(self.cleaned_data["password"])

    @property
    def changes_recipients(self) -> bool:
        return self.is_valid() and bool(self.cleaned_data["add"] or self.cleaned_data["remove"])

    @property
    def lacks_added(self) -> Q:
        """Return the condition of the mailboxes that lack one of the addresses to add."""
        added = self.get_addresses("add")
        return ~Q(has_at_least(len(added), RECIPIENTS.filter(address__in=added)))

    @property
    def has_no_room(self) -> Q:
        """Return the condition of the mailboxes that would get too many recipients."""
        added = self.get_addresses("add")
        others = RECIPIENTS.exclude(address__in=[*added, *self.get_addresses("remove")])
        return Q(has_at_least(MAX_RECIPIENTS - len(added) + 1, others))

    @cached_property
    def effects(self) -> list[Effect]:
        """Return the chosen settings, or none if one is invalid."""
        if not self.is_valid():
            return []
        effects = []
        for name, value in self.new_values.items():
            is_same = Q(**{f"{name}__isnull": True} if value is None else {name: value})
            shown = name_greetings([value])[value] if name == "greeting" else value
            effects.append(Effect(self.fields[name].label, shown, ~is_same))
        if self.cleaned_data["password"]:
            value = _("a new one for each")
            effects.append(Effect(self.fields["password"].label, value, Q(pk__isnull=False)))
        if added := self.cleaned_data["add"]:
            changed = self.lacks_added & ~self.has_no_room
            effects.append(Effect(self.fields["add"].label, ", ".join(added), changed))
        if removed := self.cleaned_data["remove"]:
            found = RECIPIENTS.filter(address__in=self.get_addresses("remove"))
            effects.append(
                Effect(self.fields["remove"].label, ", ".join(removed), Q(Exists(found)))
            )
        return effects

    @property
    def condition(self) -> Q:
        """Return the condition of the mailboxes that change."""
        return reduce(or_, (effect.condition for effect in self.effects), Q(pk__in=[]))

    def count_effects(self, mailboxes) -> list[Effect]:
        """Return the effects, each with the count of these mailboxes that it changes."""
        counts = {
            f"effect_{number}": Count("pk", filter=effect.condition)
            for number, effect in enumerate(self.effects)
        }
        found = mailboxes.order_by().aggregate(**counts)
        for effect, name in zip(self.effects, counts, strict=True):
            effect.count = found[name]
        return self.effects

    def list_full(self, mailboxes) -> list[Mailbox]:
        """Return the first of the mailboxes that have no room for the recipients to add."""
        if not (self.is_valid() and self.cleaned_data["add"]):
            return []
        return list(mailboxes.filter(self.lacks_added & self.has_no_room)[:MOST_FULL])

    def apply(self, mailbox: Mailbox) -> bool:
        """Change the mailbox's fields without saving. Return True if anything differs."""
        different = {
            name: value
            for name, value in self.new_values.items()
            if getattr(mailbox, name) != value
        }
        for name, value in different.items():
            setattr(mailbox, name, value)
        if self.cleaned_data["password"]:
            mailbox.password = validators.make_pass_code()
            return True
        return bool(different)

    def change_recipients(self, mailbox: Mailbox) -> tuple[list, list]:
        """Return the mailbox's recipients to add, not saved, and those to remove."""
        present = mailbox.email_recipients.all()
        to_remove = self.get_addresses("remove")
        removed = [recipient for recipient in present if recipient.email.lower() in to_remove]
        missing = list_missing(mailbox, self.cleaned_data["add"])
        if len(present) - len(removed) + len(missing) > MAX_RECIPIENTS:
            missing = []
        return mailbox.recipients_to_add(missing), removed


def has_at_least(number: int, rows) -> Exists:
    return Exists(rows[number - 1 : number])
