"""One mailbox as a row of a CSV file."""

import csv
import io
import re
from collections.abc import Iterable

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailboxes.contract import MASK
from mailboxes.encryption import UnknownKeyError
from mailboxes.forms import SWITCHES, AddressesField, MailboxForm
from mailboxes.models import Mailbox

COLUMNS = ("uuid", "state", "account", "name", "password", "greeting", *SWITCHES, "recipients")
# Of the mailbox itself: a file finds a mailbox by them and cannot change them.
FIXED = ("uuid", "state", "account")
# An empty cell of these counts as a column that is not there; of the others it says "none".
SILENT_IF_EMPTY = {*FIXED, *SWITCHES}

NEW = {"state": "active"}  # what is known of a mailbox that is not there yet

YES, NO = "yes", "no"
WORDS = {YES: True, "true": True, "on": True, "1": True}
WORDS |= {NO: False, "false": False, "off": False, "0": False}

# What a spreadsheet would run as a formula, or take for a number and shorten; apostrophes before
# it are there because this was so before. One more apostrophe makes it text again.
FORMULA = re.compile(r"'*(?:[=+\-@\t\r\n]|0[0-9]+\Z|[0-9]{12,}\Z)")


def cells_of(mailbox: Mailbox, addresses: Iterable[str]) -> dict[str, str]:
    """What each column holds of the mailbox, with these addresses of its recipients."""
    try:
        password = mailbox.password or ""
    except UnknownKeyError:
        password = MASK
    return {
        "uuid": str(mailbox.pk),
        "state": "deleted" if mailbox.is_deleted else "active",
        "account": mailbox.account.name,
        "name": mailbox.name,
        "password": password,
        "greeting": str(mailbox.greeting or ""),
        **{flag: YES if getattr(mailbox, flag) else NO for flag in SWITCHES},
        "recipients": "; ".join(addresses),
    }


def addresses_of(mailbox: Mailbox) -> list[str]:
    return [recipient.email for recipient in mailbox.email_recipients.all()]


def escape_formula(cell: str) -> str:
    """The cell as a file holds it, so that a spreadsheet shows it as it is."""
    return f"'{cell}" if FORMULA.match(cell) else cell


def unescape_formula(cell: str) -> str:
    """The cell as it was before it was defused."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell, 1) else cell


class YesNoField(forms.Field):
    """Yes or no, in one of the words for it."""

    default_error_messages = {"invalid": gettext_lazy("Use yes or no.")}

    def to_python(self, value):
        try:
            return WORDS[value.lower()]
        except KeyError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None


class RowForm(MailboxForm):
    """The cells of a row that are to be set: only these are asked for, and a new mailbox's account and name."""

    account = forms.CharField()
    beep = play_caller_id = play_timestamp = transcribe = YesNoField()
    recipients = AddressesField(required=False)

    class Meta(MailboxForm.Meta):
        # The account is looked up for many rows at once, not asked for again by each.
        fields = [name for name in MailboxForm.Meta.fields if name != "account"]

    def __init__(self, cells, accounts, *, instance):
        super().__init__(cells, instance=instance)
        self.accounts = accounts
        asked = cells.keys() | ({"account", "name"} if instance._state.adding else set())
        self.fields = {name: field for name, field in self.fields.items() if name in asked}

    def clean_account(self):
        name = self.cleaned_data["account"]
        if name not in self.accounts:
            raise ValidationError(_("No account is called “%(name)s”."), params={"name": name})
        self.instance.account = self.accounts[name]
        return name


BOM = "\ufeff"  # without it Excel takes UTF-8 for something else


def format_rows(rows: Iterable[Iterable[str]], delimiter=",") -> str:
    """The rows as lines of a file."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(map(escape_formula, row) for row in rows)
    return text.getvalue()


def mask_pass_code(column, text) -> str:
    """The cell as a page shows it."""
    return MASK if column == "password" and text else text
