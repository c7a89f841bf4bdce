"""Forms for staff logins."""

from django import forms
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordForm, UserCreationForm
from django.contrib.auth.models import Group, User
from django.utils.translation import gettext_lazy as _

from mailboxes.own_changes import OwnChangesForm
from mailboxes.staff.groups import DESCRIPTIONS
from mailboxes.staff.users import list_groups_to_give
from mailboxes.validators import validate_printable


class StaffForm(OwnChangesForm):
    """Name and groups of a user. A manager can give only permissions that the manager has."""

    groups = forms.MultipleChoiceField(
        label=_("Groups"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Without a group, the login sees nothing."),
    )

    class Meta:
        model = User
        fields = ["first_name", "last_name", "groups"]

    def __init__(self, manager, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.to_give = {group.name: group for group in list_groups_to_give(manager)}
        self.fields["groups"].choices = [
            (name, f"{name}: {DESCRIPTIONS[name]}" if name in DESCRIPTIONS else name)
            for name in self.to_give
        ]
        for name in self.fields.keys() - {"groups"}:
            self.fields[name].validators.append(validate_printable)
        self.initial["groups"] = [group.name for group in self.initial.get("groups", [])]

    def clean_groups(self) -> list[Group]:
        return [self.to_give[name] for name in self.cleaned_data["groups"]]

    def get_saved(self, name):
        saved = super().get_saved(name)
        return list(saved.order_by("pk")) if name == "groups" else saved

    def describe_values(self) -> str:
        """Return each value of a new login, in a sentence."""
        return " ".join(
            f"{self[name].label}: {show(self.cleaned_data[name])}." for name in self.changed_data
        )

    def describe_changes(self) -> str:
        """Return each change in a sentence, with the old value and the new one."""
        return " ".join(
            describe_change(
                self[name].label, show(self.initial.get(name)), show(self.cleaned_data[name])
            )
            for name in self.changed_data
        )


class NewStaffForm(StaffForm, UserCreationForm):
    """A login without a password, which its user sets."""

    password1 = password2 = None  # type: ignore[assignment]

    class Meta(UserCreationForm.Meta):
        fields = ("username", *StaffForm.Meta.fields)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.instance.is_staff = True

    def set_password_and_save(self, user, commit=True, **kwargs):
        user.set_unusable_password()
        if commit:
            user.save()
        return user


class SavePasswordOnly:
    """Save no other field: Django's forms would undo a lock set meanwhile."""

    def save(self, commit=True):
        user = super().save(commit=False)
        user.save(update_fields=["password"])
        return user


class ChangePasswordForm(SavePasswordOnly, PasswordChangeForm):
    """A new password, by the user who enters the old one."""


class FirstPasswordForm(SavePasswordOnly, SetPasswordForm):
    """A new password, by the user who has a link."""


def show(value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else value or ""


def describe_change(label, old, new) -> str:
    if old and new:
        return f"{label} changed from {old} to {new}."
    return f"{label} added: {new}." if new else f"{label} removed: {old}."
