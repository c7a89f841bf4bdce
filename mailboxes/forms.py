"""Forms that the admin, the console and the CSV import share."""

from collections.abc import Sequence

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from mailboxes import validators
from mailboxes.contract import MASK, MAX_RECIPIENTS
from mailboxes.form_fields import (
    NO_CORRECTION,
    AccountNameField,
    AddressesField,
    AddressField,
    GreetingSelect,
    MomentInput,
    VersionField,
)
from mailboxes.models import Account, ApiCredential, EmailRecipient, Mailbox
from mailboxes.models.mailboxes import check_quotas
from mailboxes.models.sounds import find_greeting, list_choices
from mailboxes.own_changes import OwnChangesForm


class MailboxDeletedError(ValidationError):
    """The mailbox was deleted, so it can only be viewed and restored."""

    def __init__(self):
        super().__init__(_("This mailbox was deleted. Restore it first."), code="deleted")


def make_read_only(field, reason):
    """Disable the field, so that submitted values are ignored; its help text is the reason."""
    field.disabled = True
    field.help_text = reason


class AccountForm(OwnChangesForm):
    """An account. Its name cannot be changed later."""

    reseller = AccountNameField(
        label=_("Reseller"),
        required=False,
        help_text=_("The account that this one is a customer of. Empty: none."),
    )

    class Meta:
        model = Account
        fields = [
            "name",
            "contact_name",
            "reseller",
            "message_days",
            "removes_unheard",
            "deletes_mailed",
        ]
        widgets = {"name": forms.TextInput(NO_CORRECTION)}
        help_texts = {
            "contact_name": _("The person to contact. Only staff see it."),
            "message_days": _(
                "Messages received longer ago are removed for good. 0: they are kept for ever. "
                "Empty: as for all accounts, which your administrator sets (MESSAGE_RETENTION_DAYS)."
            ),
        }
        error_messages = {"name": {"unique": _("An account with this name already exists.")}}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["reseller"] = self.instance.reseller
            make_read_only(
                self.fields["name"],
                _("Programs send the name in their calls, so it cannot be changed."),
            )


class CredentialForm(OwnChangesForm):
    """A credential; its account is set on `instance`. Name and kind cannot be changed later."""

    class Meta:
        model = ApiCredential
        fields = ["name", "is_engine", "sends_mail", "networks", "expires_at"]
        labels = {"is_engine": _("For a telephone engine"), "expires_at": _("Expires (UTC)")}
        help_texts = {
            "name": _(
                "The value of the X-Auth-User header, or the user name that an engine sends. "
                "For example, the name of the program that will call."
            ),
            "is_engine": _(
                "Asterisk or FreeSWITCH uses it to look up the mailboxes of this account and its "
                "customers. The API refuses it."
            ),
            "networks": _(
                "Networks that calls may come from, such as 192.0.2.0/24, 2001:db8::/32. "
                "Empty: any network."
            ),
            "expires_at": _("The credential is refused from then on. Empty: it never expires."),
        }
        widgets = {
            "name": forms.TextInput(NO_CORRECTION),
            "networks": forms.Textarea(NO_CORRECTION | {"rows": 2}),
            "expires_at": MomentInput,
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            make_read_only(
                self.fields["name"],
                _("The program sends the name in its calls, so it cannot be changed."),
            )
            make_read_only(
                self.fields["is_engine"],
                _("This cannot be changed. Issue another credential instead."),
            )
            if not self.instance.is_engine:
                del self.fields["sends_mail"]


SWITCHES = ["beep", "play_caller_id", "play_timestamp", "transcribe"]


class MailboxForm(forms.ModelForm):
    """A mailbox. The unchanged mask keeps the pass code, and an empty field removes it."""

    new_uuid = None  # of a new mailbox; without it, the model makes one
    find_greeting = staticmethod(find_greeting)

    password = forms.CharField(
        label=_("Pass code"),
        required=False,
        strip=False,
        empty_value=None,
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off", "size": 6}),
        help_text=_("Four digits to enter when listening to the messages. Empty: no pass code."),
    )

    greeting = forms.CharField(
        label=_("Greeting"),
        required=False,
        empty_value=None,
        widget=forms.TextInput({"size": 36}),
        help_text=_(
            "The name or UUID of a greeting. Empty: callers hear the telephone system's own greeting."
        ),
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
        help_texts = {"account": _("It cannot be changed later.")}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.new_uuid:
            self.instance.uuid = self.new_uuid
        if self.instance.password_sealed:
            self.initial["password"] = MASK
        if "transcribe" in self.fields and not settings.TRANSCRIBER:
            text = _("Not done yet: the service has no transcriber.")
            self.fields["transcribe"].help_text = text

    def clean_account(self):
        """Refuse a full account. It stays locked until the mailbox is saved."""
        account = self.cleaned_data["account"]
        check_quotas([account.pk], adding=1)
        return account

    def clean_password(self):
        code = self.cleaned_data["password"]
        if "password" in self.changed_data:
            if code is not None:
                self.instance.check_pass_code(code)
            self.instance.password = code
        return code

    def clean_greeting(self):
        """Return a UUID or None. The field of the account comes first."""
        text, mailbox = self.cleaned_data["greeting"], self.instance
        account = mailbox.account if mailbox.account_id else self.cleaned_data.get("account")
        return self.find_greeting(text, account) if text and account else None

    def offer_greetings(self, account: Account) -> None:
        """Make the greeting a choice, in place of a text."""
        bound = self["greeting"]
        choices = list_choices(account, str(bound.value() or ""))
        bound.field.widget = GreetingSelect(choices=choices)
        bound.help_text = _("What callers hear before they leave a message.")

    @property
    def has_weak_pass_code(self) -> bool:
        """Return True if the pass code in the field is easy to guess.

        If the field still shows the mask, this is the saved one.
        """
        code = self["password"].value()
        if code == MASK:
            return self.instance.password_is_weak
        return bool(code) and validators.is_pass_code(code) and validators.is_weak_pass_code(code)


class MailboxSettingsForm(MailboxForm):
    """An existing mailbox. `version` is its version when the page was loaded."""

    version = VersionField(min_value=1)

    class Meta(MailboxForm.Meta):
        fields = [name for name in MailboxForm.Meta.fields if name != "account"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.initial["version"] = self.instance.version

    def clean_password(self):
        """Accept the mask of the loaded page also if the pass code was removed since."""
        is_kept = self.cleaned_data["password"] == MASK
        return MASK if is_kept else super().clean_password()


class NewMailboxForm(MailboxForm):
    """A new mailbox and its recipients."""

    account = AccountNameField(
        label=_("Account"), help_text=_("The account's name. It cannot be changed later.")
    )
    recipients = AddressesField(
        label=_("Recipients"),
        required=False,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("Email addresses that messages are sent to, one per line."),
    )

    field_order = ["account", "name", "password", "greeting", *SWITCHES, "recipients"]


def list_missing(mailbox: Mailbox, addresses: list[str]) -> list[str]:
    """Return the addresses that no recipient of the mailbox has, ignoring case."""
    present = {recipient.email.lower() for recipient in mailbox.email_recipients.all()}
    return [address for address in addresses if address.lower() not in present]


class RecipientsForm(forms.Form):
    """Addresses to add to a mailbox, which the caller has locked.

    `present` has the addresses that it has already. If it has all of them, that is an error.
    """

    present: Sequence[str] = ()

    email = AddressesField(
        label=_("Email address"),
        widget=forms.TextInput({"inputmode": "email"} | NO_CORRECTION),
        help_text=_("One or several, separated by commas or spaces."),
    )

    def __init__(self, data=None, *, mailbox):
        super().__init__(data)
        self.mailbox = mailbox

    def clean_email(self):
        addresses = self.cleaned_data["email"]
        missing = list_missing(self.mailbox, addresses)
        self.present = [address for address in addresses if address not in missing]
        if not missing:
            name = self.fields["email"].name_address
            error = _("This mailbox already has that address.")
            raise ValidationError([name(address, error) for address in self.present])
        return missing

    def clean(self):
        """Refuse too many recipients. The error is not the field's, which a full mailbox hides."""
        present = len(self.mailbox.email_recipients.all())
        if present + len(self.cleaned_data.get("email", ())) > MAX_RECIPIENTS:
            raise ValidationError(
                _("A mailbox has at most %(most)s recipients. This one has %(present)s."),
                code="limit",
                params={"most": MAX_RECIPIENTS, "present": present},
            )


class EmailRecipientForm(forms.ModelForm):
    class Meta:
        model = EmailRecipient
        fields = ["mailbox", "email"]
        field_classes = {"email": AddressField}

    def clean_mailbox(self):
        """Lock the mailbox, so that the limit of recipients is checked reliably."""
        mailbox = self.cleaned_data["mailbox"]
        mailbox.refresh_from_db(from_queryset=Mailbox.objects.select_for_update())
        if mailbox.is_deleted:
            raise MailboxDeletedError
        return mailbox


class RecipientFormSet(forms.BaseInlineFormSet):
    default_error_messages = {
        "too_many_forms": _("A mailbox has at most %(num)d recipients."),
        "removed": _(
            "Somebody else has removed “%(email)s” since you opened this page. It is no longer in the "
            "list: save again, or add it again first."
        ),
    }
    names = ["uuid", "mailbox", "email", "DELETE"]  # of the fields of a row

    def __init__(self, data=None, *args, **kwargs):
        super().__init__(data, *args, **kwargs)
        is_complete = self.is_bound and self.management_form.is_valid()
        self.removed = self.leave_out_removed() if is_complete else []

    def leave_out_removed(self) -> list[str]:
        """Take recipients that somebody else has removed out of the data.

        Return the addresses of those that the user has not removed, too.
        """
        total, initial = self.total_form_count(), self.initial_form_count()
        present = {str(recipient.pk) for recipient in self.get_queryset()}
        rows, removed = [], []
        for index in range(total):
            keys = {name: f"{self.add_prefix(index)}-{name}" for name in self.names}
            row = {name: self.data[key] for name, key in keys.items() if key in self.data}
            if index >= initial or row.get("uuid") in present:
                rows.append(row)
            elif "DELETE" not in row:
                removed.append(row.get("email", ""))
        counts = {"TOTAL_FORMS": len(rows), "INITIAL_FORMS": initial - (total - len(rows))}
        parts = {self.prefix: self.management_form.cleaned_data | counts}
        parts |= {self.add_prefix(index): row for index, row in enumerate(rows)}
        self.data = {
            f"{prefix}-{name}": value
            for prefix, values in parts.items()
            for name, value in values.items()
        }
        del self.management_form  # it has the counts from before
        return removed

    def add_fields(self, form, index):
        """Keep the mailbox's UUID, which Django would replace: the pass code is encrypted for it."""
        uuid = self.instance.uuid
        super().add_fields(form, index)
        self.instance.uuid = uuid

    def clean(self):
        """Refuse duplicates within the formset, which the forms alone do not see."""
        super().clean()
        deleted = self.deleted_forms
        seen = set()
        for form in self.forms:
            if form not in deleted and "email" in form.cleaned_data:
                address = form.cleaned_data["email"].lower()
                if address in seen:
                    form.add_error(
                        "email", ValidationError(_("This address is listed twice."), "unique")
                    )
                seen.add(address)
        if self.removed:
            message = self.error_messages["removed"]
            raise ValidationError(
                [ValidationError(message, "removed", {"email": email}) for email in self.removed]
            )
