"""Rows of a CSV file, one mailbox each: columns, cells, and formulas made harmless."""

import csv
import io
import re
from collections.abc import Iterable

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailboxes.contract import MASK
from mailboxes.form_fields import AddressesField
from mailboxes.forms import SWITCHES, MailboxForm
from mailboxes.models import Mailbox

COLUMNS = ("uuid", "state", "account", "name", "password", "greeting", *SWITCHES, "recipients")
# Columns that identify a mailbox: a file cannot change them.
FIXED = ("uuid", "state", "account")
# An empty cell in these columns leaves the value unchanged; in others it means "none".
IGNORED_IF_EMPTY = {*FIXED, *SWITCHES}

NEW = {"state": "active"}  # the cells of a mailbox that does not exist yet

YES, NO = "yes", "no"
WORDS = dict.fromkeys([YES, "y", "true", "t", "on", "1"], True)
WORDS |= dict.fromkeys([NO, "n", "false", "f", "off", "0"], False)
# The same in German, French, Spanish, Italian and Dutch, and TRUE and FALSE in their spreadsheets.
WORDS |= dict.fromkeys(["ja", "j", "oui", "sí", "sì", "si"], True)
WORDS |= dict.fromkeys(["nein", "non", "nee"], False)
TRUE_WORDS = ("wahr", "vrai", "verdadero", "vero", "waar")
FALSE_WORDS = ("falsch", "faux", "falso", "onwaar")
WORDS |= dict.fromkeys(TRUE_WORDS, True) | dict.fromkeys(FALSE_WORDS, False)

# Text that a spreadsheet would run as a formula, or rewrite: a number, amount, time or date, or TRUE.
# An apostrophe before it makes it text; text that has apostrophes there already gets one more. A
# whole number of up to 11 digits stays as it is. The possessive quantifiers keep this linear.
NUMBER = r"[\s\xa0\u202f0-9.,:/%()'’$£€¥+-]++(?:E[+-]?[0-9]+)?(?:[ap]m?)?"
MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
DAYS_AND_YEARS = r"(?:[0-9]{1,4}[\s.,/-]{0,3}){0,2}"
FORMULA = re.compile(
    rf"""'*+(?:
        [=+\-@\t\r\n]
        | (?!(?:0|[1-9][0-9]{{0,10}})\Z) (?=\W*[0-9]) {NUMBER}\Z
        | (?=\D*[0-9]) {DAYS_AND_YEARS}{MONTH}[\s.,/-]{{0,3}}{DAYS_AND_YEARS}\Z
        | (?:true|false|{"|".join([*TRUE_WORDS, *FALSE_WORDS])})\Z
    )""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
# The start of a formula after a separator. A spreadsheet may divide the cell there, because the
# separator depends on its language, not on the file. The first group has the apostrophes to keep.
INNER_FORMULA = r"""([,;\t]'*)%s(?="*[=+\-@\t\r\n])"""
ESCAPABLE = re.compile(INNER_FORMULA % "")
ESCAPED = re.compile(INNER_FORMULA % "'")


def format_cells(mailbox: Mailbox, addresses: Iterable[str]) -> dict[str, str]:
    """Return the mailbox's text for each column, with these addresses; the pass code masked."""
    return {
        "uuid": str(mailbox.pk),
        "state": "deleted" if mailbox.is_deleted else "active",
        "account": mailbox.account.name,
        "name": mailbox.name,
        "password": MASK if mailbox.password_sealed else "",
        "greeting": str(mailbox.greeting or ""),
        **{flag: YES if getattr(mailbox, flag) else NO for flag in SWITCHES},
        "recipients": "; ".join(addresses),
    }


def list_addresses(mailbox: Mailbox) -> list[str]:
    return [recipient.email for recipient in mailbox.email_recipients.all()]


def lower_cells(cells: dict[str, str]) -> dict[str, str]:
    """Return the cells. Those in which upper and lower case mean the same are in lower case."""
    return {
        column: cell.lower() if column in IGNORED_IF_EMPTY else cell
        for column, cell in cells.items()
    }


def escape_formula(cell: str) -> str:
    """Put an apostrophe before what a spreadsheet would run as a formula or shorten."""
    cell = ESCAPABLE.sub(r"\1'", cell)
    return f"'{cell}" if FORMULA.match(cell) else cell


def unescape_formula(cell: str) -> str:
    cell = cell[1:] if cell.startswith("'") and FORMULA.match(cell, 1) else cell
    return ESCAPED.sub(r"\1", cell)


class YesNoField(forms.Field):
    """A cell that says yes or no, in one of the WORDS."""

    default_error_messages = {"invalid": gettext_lazy("Use yes or no.")}

    def to_python(self, value):
        try:
            return WORDS[value.lower()]
        except KeyError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None


class RowForm(MailboxForm):
    """Validate the cells that change a mailbox; a new one needs account and name too."""

    account = forms.CharField()
    beep = play_caller_id = play_timestamp = transcribe = YesNoField()
    recipients = AddressesField(required=False)

    field_order = ["account"]  # before the greeting, which it may name

    class Meta(MailboxForm.Meta):
        # The account has been looked up for many rows at once.
        fields = [name for name in MailboxForm.Meta.fields if name != "account"]

    def __init__(self, cells, accounts, find_greeting, *, instance):
        super().__init__(cells, instance=instance)
        self.accounts, self.find_greeting = accounts, find_greeting
        names = cells.keys() | ({"account", "name"} if instance._state.adding else set())
        self.fields = {name: field for name, field in self.fields.items() if name in names}

    def clean_account(self):
        typed = self.cleaned_data["account"]
        name = typed.lower()
        if name not in self.accounts:
            raise ValidationError(_("There is no account “%(name)s”."), params={"name": typed})
        self.instance.account = self.accounts[name]
        return name


BOM = "\ufeff"  # without it Excel does not recognize UTF-8


def format_rows(rows: Iterable[Iterable[str]], delimiter=",") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(map(escape_formula, row) for row in rows)
    return text.getvalue()


def mask_pass_code(column, text) -> str:
    return MASK if column == "password" and text else text
