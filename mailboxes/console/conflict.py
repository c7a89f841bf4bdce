"""Two people at one mailbox: what each of them changed."""

from typing import NamedTuple

from mailboxes.forms import MailboxSettingsForm
from mailboxes.history import FIELDS, Change, shown


class Difference(NamedTuple):
    """A setting as it was when the page was shown, as somebody has set it since, and as it is typed now."""

    label: object
    was: object
    theirs: object
    mine: object


class Conflict:
    """A valid form, and the mailbox as it is now: somebody may have changed it since the form's page was shown."""

    def __init__(self, form: MailboxSettingsForm, theirs):
        self.form, self.mine, self.theirs = form, form.instance, theirs
        rows = theirs.history.select_related("history_user", "history_credential__account")
        self.last_change = Change.seen_in(rows.latest(), "changed")
        self.was = rows.filter(version__lte=form.cleaned_data["version"]).latest()

    def __bool__(self):
        """Whether there is anything to ask: they changed a setting, and what is typed is not what they made of it."""
        return have_different_settings(self.was, self.theirs) and have_different_settings(
            self.mine, self.theirs
        )

    @property
    def differences(self) -> list[Difference]:
        """The settings of which there are two versions; pass codes masked."""
        versions = [shown(version) for version in (self.was, self.theirs, self.mine)]
        return [
            Difference(self.form.fields[name].label, *(version[name] for version in versions))
            for name in FIELDS
            if self.mine.comparable_value(name) != self.theirs.comparable_value(name)
        ]

    def merged_form(self) -> MailboxSettingsForm:
        """A form with what was typed, and theirs where nothing was; to be saved over their version."""
        theirs = MailboxSettingsForm(instance=self.theirs)
        typed = {
            name: self.form[name].value()
            if name in FIELDS
            and self.mine.comparable_value(name) != self.was.comparable_value(name)
            else theirs[name].value()
            for name in theirs.fields
        }
        return MailboxSettingsForm(typed, instance=self.theirs)


def have_different_settings(one, other) -> bool:
    return any(one.comparable_value(name) != other.comparable_value(name) for name in FIELDS)
