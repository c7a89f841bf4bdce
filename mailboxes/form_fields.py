"""Fields of forms that the admin, the console and the CSV import share."""

import re

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mailboxes import validators
from mailboxes.contract import MAX_RECIPIENTS
from mailboxes.models import Account, EmailRecipient, Sound

# Names and networks are not prose, so browsers should not correct them.
NO_CORRECTION = {"autocapitalize": "off", "spellcheck": "false"}


class MomentInput(forms.DateTimeInput):
    """A field for date and time."""

    input_type = "datetime-local"

    def __init__(self, attrs=None):
        # With seconds: without them an unchanged value would count as changed.
        super().__init__(attrs, "%Y-%m-%dT%H:%M:%S")


class GreetingSelect(forms.Select):
    """A select of greetings (see `models.sounds.list_choices`), which can be heard."""

    template_name = "console/greeting.html"

    def create_option(self, name, value, label, *args, **kwargs):
        option = super().create_option(name, value, label, *args, **kwargs)
        if isinstance(label, Sound):
            address = reverse("console:sound-audio", args=[label.account, label.pk])
            option["attrs"]["data-audio"] = address
        return option


class AccountNameInput(forms.TextInput):
    """An input for an account's name; with JavaScript it suggests names of accounts."""

    template_name = "console/account_name.html"


class AccountNameField(forms.ModelChoiceField):
    """An account, entered by name. An unknown one has the error code `invalid_choice`."""

    widget = AccountNameInput(NO_CORRECTION)
    default_error_messages = {
        "invalid_choice": _("There is no account “%(value)s”. Check the name.")
    }

    def __init__(self, queryset=None, **kwargs):
        accounts = Account.objects.all() if queryset is None else queryset
        super().__init__(accounts, to_field_name="name", **kwargs)

    def to_python(self, value):
        name = value.strip().lower() if isinstance(value, str) else value
        if name and not re.match(validators.ACCOUNT_NAME, str(name)):  # PostgreSQL refuses NUL
            raise ValidationError(
                self.error_messages["invalid_choice"], "invalid_choice", {"value": value}
            )
        return super().to_python(name)


class AddressField(forms.EmailField):
    """An email address. A name before it is left out."""

    widget = forms.TextInput({"inputmode": "email"} | NO_CORRECTION)

    def to_python(self, value):
        return validators.normalize_address(super().to_python(value))


# One with a name before it, "Smith, Ann" <ann@example.com>, or one alone. A quoted address may
# contain separators: "a;b"@example.com.
ADDRESS = re.compile(
    r"""(?:"[^"]{0,100}"\s*|[^<>@,;"\r\n]{0,100})<[^<>\s]{1,254}>"""
    r"""|(?:"(?:[^"\\]|\\.){0,64}"|[^\s,;])+"""
)
MAX_ADDRESSES_LENGTH = 20_000  # characters: more than MAX_RECIPIENTS long addresses with names


class AddressesField(forms.Field):
    """Unique email addresses, separated by commas, semicolons or whitespace."""

    widget = forms.Textarea
    default_error_messages = {
        "wrong": _("“%(address)s”: %(error)s"),
        "limit": _("A mailbox has at most %(most)s recipients; you entered %(count)s."),
        "too_long": _(
            "Enter at most %(length)s characters: a mailbox has at most %(most)s recipients."
        ),
    }

    @staticmethod
    def split(text: str) -> list[str]:
        """Return the addresses in the text, valid or not."""
        return ADDRESS.findall(text)

    def to_python(self, value) -> list[str]:
        """Refuse a text that takes long to split: other requests wait meanwhile."""
        if len(value or "") > MAX_ADDRESSES_LENGTH:
            params = {"length": f"{MAX_ADDRESSES_LENGTH:,}", "most": MAX_RECIPIENTS}
            raise ValidationError(self.error_messages["too_long"], "too_long", params)
        addresses: dict[str, str] = {}
        for address in self.split(value or ""):
            address = validators.normalize_address(address)
            addresses.setdefault(address.lower(), address)
        return list(addresses.values())

    def run_validators(self, value):
        """Validate each address as the model field does."""
        if len(value) > MAX_RECIPIENTS:
            params = {"most": MAX_RECIPIENTS, "count": len(value)}
            raise ValidationError(self.error_messages["limit"], code="limit", params=params)
        errors = []
        for address in value:
            try:
                EmailRecipient._meta.get_field("email").clean(address, None)
            except ValidationError as error:
                errors.append(self.name_address(address, error.messages[0]))
        if errors:
            raise ValidationError(errors)

    def name_address(self, address: str, error: str) -> ValidationError:
        """Return the error with the address before it."""
        params = {"address": address[:100].replace("\0", ""), "error": error}
        return ValidationError(self.error_messages["wrong"], code="wrong", params=params)


class VersionField(forms.IntegerField):
    """The version of a row when its page was loaded; it never counts as changed."""

    widget = forms.HiddenInput

    def has_changed(self, initial, data):
        return False
