"""A form that changes only what its user has changed, and does not overwrite in silence."""

from datetime import datetime

from django import forms
from django.utils.functional import cached_property
from django.utils.translation import gettext as _


class OwnChangesForm(forms.ModelForm):
    """A form that changes only what its user has changed since its page was loaded.

    What somebody else has saved meanwhile stays. If the user has changed the same field, its error
    shows the saved value, and the next save replaces that. The page has each field's first value,
    too. No field may have several inputs. The caller locks the row.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Any of them: a field of many values sends nothing if it had none.
        is_sent = any(self.add_initial_prefix(name) in self.data for name in self.fields)
        has_first_values = bool(self.instance.pk) and (is_sent or not self.is_bound)
        for field in self.fields.values():
            field.show_hidden_initial = has_first_values

    @cached_property
    def changed_data(self):
        """Leave out fields for which somebody else has saved the same value meanwhile."""
        bound = {name: self[name] for name in super().changed_data}
        return [name for name, b in bound.items() if b.field.has_changed(b.initial, b.data)]

    def clean(self):
        super().clean()
        for name in list(self.cleaned_data):
            if not self.fields[name].show_hidden_initial:
                continue
            if name not in self.changed_data:
                self.cleaned_data[name] = self.get_saved(name)
            elif self.is_changed_meanwhile(name):
                self.add_error(name, self.describe_saved(name))
                self.set_first_value(name)

    def get_saved(self, name):
        return getattr(self.instance, name)

    def is_changed_meanwhile(self, name) -> bool:
        """Return True if the saved value is not the one that the page had at first."""
        field, saved = self.fields[name], self[name].initial
        widget = field.hidden_widget()
        first = widget.value_from_datadict(self.data, self.files, self[name].html_initial_name)
        if isinstance(saved, str):  # browsers change line breaks
            return saved.split() != (first or "").split()
        return field.has_changed(saved, first)

    def describe_saved(self, name) -> str:
        match self.get_saved(name):
            case datetime() as moment:
                value = f"{moment:%Y-%m-%d %H:%M:%S}"
            case list() as rows:
                value = ", ".join(map(str, rows))
            case saved:
                value = str(saved or "")
        if not value:
            return _("This was emptied meanwhile. Save again to replace it.")
        return _("This was changed to “%(value)s” meanwhile. Save again to replace it.") % {
            "value": value
        }

    def set_first_value(self, name):
        """Replace the first value in the page by the saved one."""
        saved, key = self[name].initial, self[name].html_initial_name
        self.data = self.data.copy()
        if isinstance(saved, list):
            self.data.setlist(key, saved)
        else:
            self.data[key] = self.fields[name].prepare_value(saved)
