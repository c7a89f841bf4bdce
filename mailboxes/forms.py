"""One form serves the admin, the staff's pages and a row of CSV."""

import re

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from mailboxes import validators
from mailboxes.contract import MASK, MAX_RECIPIENTS
from mailboxes.models import Account, ApiCredential, EmailRecipient, Mailbox

# A name or a list of networks is no prose: no browser should correct it.
PLAIN = {"autocapitalize": "off", "spellcheck": "false"}


class AccountNameInput(forms.TextInput):
    """A name to type, with suggestions where scripts run."""

    template_name = "console/account_name.html"


class AccountNameField(forms.ModelChoiceField):
    """An account, typed as its name. Raises ValidationError, code `invalid_choice`, where there is none."""

    widget = AccountNameInput(PLAIN)
    default_error_messages = {
        "invalid_choice": _("There is no account “%(value)s”: check the name.")
    }

    def __init__(self, queryset=None, **kwargs):
        accounts = Account.objects.all() if queryset is None else queryset
        super().__init__(accounts, to_field_name="name", **kwargs)

    def to_python(self, value):
        name = value.strip().lower() if isinstance(value, str) else value
        if name and not re.match(validators.ACCOUNT_NAME, str(name)):  # PostgreSQL takes no NUL
            raise ValidationError(
                self.error_messages["invalid_choice"], "invalid_choice", {"value": value}
            )
        return super().to_python(name)


def keep(field, why):
    """Show the field as it is and take no other value; say why."""
    field.disabled = True
    field.help_text = why


class AccountForm(forms.ModelForm):
    """An account. Its name is given once."""

    reseller = AccountNameField(
        label=_("Reseller"),
        required=False,
        help_text=_("The account that this one is a customer of. Empty: none."),
    )

    class Meta:
        model = Account
        fields = ["name", "contact_name", "reseller"]
        widgets = {"name": forms.TextInput(PLAIN)}
        help_texts = {"contact_name": _("Whom to ask for. Staff see it, programs do not.")}
        error_messages = {"name": {"unique": _("There is an account of that name already.")}}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["reseller"] = self.instance.reseller
            keep(
                self.fields["name"],
                _("Programs carry it in their calls, so it stays as it was given."),
            )


class CredentialForm(forms.ModelForm):
    """A credential of the account that its instance names. Its name, and who calls with it, are given once."""

    class Meta:
        model = ApiCredential
        fields = ["name", "is_engine", "networks", "expires_at"]
        labels = {"is_engine": _("For a telephone engine"), "expires_at": _("Expires (UTC)")}
        help_texts = {
            "name": _(
                "What X-Auth-User carries, or an engine as its user: "
                "such as the name of the program that will call."
            ),
            "is_engine": _(
                "Asterisk or FreeSWITCH looks up this account's mailboxes, and its customers', "
                "with it. The API refuses it."
            ),
            "networks": _(
                "Where calls may come from, such as 192.0.2.0/24, 2001:db8::/32. Empty: anywhere."
            ),
            "expires_at": _("From then on it is refused. Empty: never."),
        }
        widgets = {
            "name": forms.TextInput(PLAIN),
            "networks": forms.Textarea(PLAIN | {"rows": 2}),
            # With its seconds, or an unchanged moment would come back as another.
            "expires_at": forms.DateTimeInput({"type": "datetime-local"}, "%Y-%m-%dT%H:%M:%S"),
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            keep(
                self.fields["name"],
                _("The program carries it in its calls, so it stays as it was given."),
            )
            keep(self.fields["is_engine"], _("Issue another one for another use."))


# An address may hold separators where it is quoted: "a;b"@example.com.
ADDRESS = re.compile(r'(?:"(?:[^"\\]|\\.){0,64}"|[^\s,;])+')


class AddressesField(forms.Field):
    """Addresses separated by commas, semicolons, blanks or new lines: a list of them, each once in any case."""

    widget = forms.Textarea
    default_error_messages = {
        "wrong": _("“%(address)s”: %(error)s"),
        "limit": _("A mailbox has at most %(most)s recipients; these are %(count)s."),
    }

    @staticmethod
    def split(text: str) -> list[str]:
        """The addresses in the text, whether they are right or wrong."""
        return ADDRESS.findall(text)

    def to_python(self, value) -> list[str]:
        addresses: dict[str, str] = {}
        for address in self.split(value or ""):
            addresses.setdefault(address.lower(), address)
        return list(addresses.values())

    def run_validators(self, value):
        """Hold each address to the rules of the model's own field."""
        if len(value) > MAX_RECIPIENTS:
            params = {"most": MAX_RECIPIENTS, "count": len(value)}
            raise ValidationError(self.error_messages["limit"], code="limit", params=params)
        errors = []
        for address in value:
            try:
                EmailRecipient._meta.get_field("email").clean(address, None)
            except ValidationError as error:
                params = {"address": address[:100].replace("\0", ""), "error": error.messages[0]}
                wrong = self.error_messages["wrong"]
                errors.append(ValidationError(wrong, code="wrong", params=params))
        if errors:
            raise ValidationError(errors)


SWITCHES = ["beep", "play_caller_id", "play_timestamp", "transcribe"]


class MailboxForm(forms.ModelForm):
    """A mailbox. The mask left as it was keeps the pass code, an emptied field removes it."""

    password = forms.CharField(
        label=_("Pass code"),
        required=False,
        strip=False,
        empty_value=None,
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off", "size": 6}),
        help_text=_("Four digits that open the mailbox. Empty: none."),
    )

    greeting = forms.CharField(
        label=_("Greeting"),
        required=False,
        empty_value=None,
        widget=forms.TextInput({"size": 36}),
        help_text=_("The UUID of a sound. Empty: callers hear the telephone system's own."),
    )

    class Meta:
        model = Mailbox
        fields = [
            "account",
            "name",
            "password",
            "greeting",
            *SWITCHES,
        ]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.instance.password_sealed:
            self.initial["password"] = MASK

    def clean_password(self):
        code = self.cleaned_data["password"]
        if "password" in self.changed_data:
            if code is not None:
                self.instance.check_pass_code(code)
            self.instance.password = code
        return code

    def clean_greeting(self):
        greeting = self.cleaned_data["greeting"]
        return greeting and validators.parse_uuid(greeting)

    @property
    def has_weak_pass_code(self) -> bool:
        """Whether the pass code that stands in the form, typed or masked, is easy to guess."""
        code = self["password"].value()
        if code == MASK:
            return self.instance.password_is_weak
        return bool(code) and validators.is_pass_code(code) and validators.is_weak_pass_code(code)


class MailboxSettingsForm(MailboxForm):
    """A mailbox that stays with its account. `version` is the one that the page has shown."""

    version = forms.IntegerField(min_value=1, widget=forms.HiddenInput)

    class Meta(MailboxForm.Meta):
        fields = [name for name in MailboxForm.Meta.fields if name != "account"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.initial["version"] = self.instance.version


class NewMailboxForm(MailboxForm):
    """A mailbox to be made, and its recipients."""

    account = AccountNameField(
        label=_("Account"), help_text=_("The account's name. It stays with that account.")
    )
    recipients = AddressesField(
        label=_("Recipients"),
        required=False,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("Email addresses that get the messages, one in a line."),
    )

    field_order = ["account", "name", "password", "greeting", *SWITCHES, "recipients"]


class RecipientForm(forms.ModelForm):
    """An address for the mailbox of its instance, which the caller holds."""

    class Meta:
        model = EmailRecipient
        fields = ["email"]
        labels = {"email": _("Email address")}


class SettingsForm(forms.Form):
    """Settings for many mailboxes: each is left as it is unless something is chosen."""

    LEAVE = ("", _("Leave as it is"))

    greeting = forms.ChoiceField(
        label=_("Greeting"),
        required=False,
        choices=[LEAVE, ("none", _("Remove")), ("set", _("Set to the Sound"))],
    )
    sound = forms.CharField(
        label=_("The Sound's UUID"), required=False, widget=forms.TextInput({"size": 36})
    )

    def __init__(self, data):
        # Of its own: the address carries the table's filters too, and these have such names.
        super().__init__(data, prefix="to")
        for name in SWITCHES:
            label = capfirst(Mailbox._meta.get_field(name).verbose_name)
            choices = [self.LEAVE, ("on", _("On")), ("off", _("Off"))]
            self.fields[name] = forms.ChoiceField(label=label, required=False, choices=choices)

    def clean_sound(self):
        if self.cleaned_data.get("greeting") != "set":
            return None
        return validators.parse_uuid(self.cleaned_data["sound"])

    @property
    def wanted(self) -> dict:
        """The settings chosen, by their names."""
        wanted = {
            name: self.cleaned_data[name] == "on" for name in SWITCHES if self.cleaned_data[name]
        }
        if self.cleaned_data["greeting"]:
            wanted["greeting"] = self.cleaned_data["sound"]
        return wanted

    def apply(self, mailbox: Mailbox) -> bool:
        """Set what is chosen; whether anything is another now."""
        different = {
            name: value for name, value in self.wanted.items() if getattr(mailbox, name) != value
        }
        for name, value in different.items():
            setattr(mailbox, name, value)
        return bool(different)


class EmailRecipientForm(forms.ModelForm):
    class Meta:
        model = EmailRecipient
        fields = ["mailbox", "email"]

    def clean_mailbox(self):
        """Hold the mailbox, so that its recipients stay as many as are counted now."""
        mailbox = self.cleaned_data["mailbox"]
        mailbox.refresh_from_db(from_queryset=Mailbox.objects.select_for_update())
        if mailbox.is_deleted:
            raise ValidationError(_("This mailbox is deleted: restore it first."), code="deleted")
        return mailbox


class RecipientFormSet(forms.BaseInlineFormSet):
    """A mailbox's recipients."""

    default_error_messages = {"too_many_forms": _("A mailbox has at most %(num)d recipients.")}

    def add_fields(self, form, index):
        """Django would have a new mailbox draw another uuid; this one's pass code is sealed to it."""
        uuid = self.instance.uuid
        super().add_fields(form, index)
        self.instance.uuid = uuid

    def clean(self):
        """Refuse an address twice in one submit, in any case: each form alone only asks the database."""
        super().clean()
        deleted = self.deleted_forms
        seen = set()
        for form in self.forms:
            if form not in deleted and "email" in form.cleaned_data:
                address = form.cleaned_data["email"].lower()
                if address in seen:
                    form.add_error("email", ValidationError(_("It stands here twice."), "unique"))
                seen.add(address)
