"""One form serves the admin, the staff's pages and a row of CSV."""

from django import forms
from django.core.exceptions import ValidationError

from mailboxes import validators
from mailboxes.contract import MASK
from mailboxes.models import EmailRecipient, Mailbox


class MailboxForm(forms.ModelForm):
    """A mailbox. The mask left as it was keeps the pass code, an emptied field removes it."""

    password = forms.CharField(
        label="Pass code",
        required=False,
        strip=False,
        empty_value=None,
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off", "size": 6}),
        help_text="Four digits that open the mailbox. Empty: none.",
    )

    greeting = forms.CharField(
        required=False,
        empty_value=None,
        widget=forms.TextInput({"size": 36}),
        help_text="The UUID of the Sound used as a greeting.",
    )

    class Meta:
        model = Mailbox
        fields = [
            "account",
            "name",
            "password",
            "greeting",
            "beep",
            "play_caller_id",
            "play_timestamp",
            "transcribe",
        ]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.instance.password_sealed:
            self.initial["password"] = MASK

    def clean_password(self):
        code = self.cleaned_data["password"]
        if "password" in self.changed_data:
            if code is not None:
                validators.validate_pass_code(code)
            self.instance.password = code
        return code

    def clean_greeting(self):
        greeting = self.cleaned_data["greeting"]
        return greeting and validators.parse_uuid(greeting)


class EmailRecipientForm(forms.ModelForm):
    class Meta:
        model = EmailRecipient
        fields = ["mailbox", "email"]

    def clean_mailbox(self):
        """Hold the mailbox, so that its recipients stay as many as are counted now."""
        mailbox = self.cleaned_data["mailbox"]
        mailbox.refresh_from_db(from_queryset=Mailbox.objects.select_for_update())
        return mailbox


class RecipientFormSet(forms.BaseInlineFormSet):
    """A mailbox's recipients."""

    default_error_messages = {"too_many_forms": "A mailbox has at most %(num)d recipients."}

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
                    form.add_error("email", ValidationError("It stands here twice.", "unique"))
                seen.add(address)
