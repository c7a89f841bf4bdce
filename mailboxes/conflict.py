"""Detect and merge edits of one mailbox by two people at the same time."""

from copy import copy
from typing import NamedTuple

from mailboxes.contract import MASK
from mailboxes.forms import MailboxSettingsForm
from mailboxes.history import FIELDS, Change, masked_fields
from mailboxes.models.history import NEWEST_FIRST
from mailboxes.models.sounds import name_greetings


class Difference(NamedTuple):
    """A setting's value on the loaded page, as saved since by another user, and as typed now."""

    label: object
    original: object
    theirs: object
    mine: object
    is_edited: bool


class Conflict:
    """A valid form, compared with the mailbox in the database. Falsy if there is no conflict."""

    def __init__(self, form: MailboxSettingsForm, theirs):
        self.form, self.mine, self.theirs = form, copy(form.instance), theirs
        rows = theirs.history.select_related("history_user", "history_credential__account")
        rows = rows.order_by(*NEWEST_FIRST)
        self.last_change = Change.from_row(rows[0], "changed")
        read = rows.filter(version__lte=form.cleaned_data["version"]).first()
        # If the history no longer has what was on the page, each difference may be a conflict.
        self.has_changed = read is None or have_different_settings(read, theirs)
        self.original = read or theirs
        if form.cleaned_data["password"] == MASK:  # the pass code of the loaded page
            self.mine.copy_fields(self.original, ["password"])

    def __bool__(self):
        return (
            self.form.cleaned_data["version"] != self.theirs.version
            and self.has_changed
            and have_different_settings(self.mine, self.theirs)
        )

    def is_edited(self, name) -> bool:
        return self.mine.comparable_value(name) != self.original.comparable_value(name)

    @property
    def differences(self) -> list[Difference]:
        """Return the settings that differ, with masked pass codes."""
        versions = [masked_fields(each) for each in (self.original, self.theirs, self.mine)]
        names = name_greetings([values["greeting"] for values in versions])
        original, theirs, mine = (
            values | {"greeting": names[values["greeting"]] or None} for values in versions
        )
        label = {name: field.label for name, field in self.form.fields.items()}
        return [
            Difference(label[name], original[name], theirs[name], mine[name], self.is_edited(name))
            for name in FIELDS
            if self.mine.comparable_value(name) != self.theirs.comparable_value(name)
        ]

    def merged_form(self) -> MailboxSettingsForm:
        """Return a form with the typed values, and the saved ones of settings not edited."""
        theirs = MailboxSettingsForm(instance=self.theirs)
        typed = {
            name: self.form[name].value()
            if name in FIELDS and self.is_edited(name)
            else theirs[name].value()
            for name in theirs.fields
        }
        return MailboxSettingsForm(typed, instance=copy(self.theirs))  # validation changes it


def have_different_settings(first, second) -> bool:
    return any(first.comparable_value(name) != second.comparable_value(name) for name in FIELDS)
