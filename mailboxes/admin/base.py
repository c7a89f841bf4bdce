"""The base class of the admin's pages, and a filter with Yes and No."""

from contextlib import suppress

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import model_ngettext
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.forms import ModelMultipleChoiceField
from django.template.response import TemplateResponse

from mailboxes.models.searching import split_words
from mailboxes.staff import unsent
from mailboxes.staff.resubmission import get_form_uuid, wait_for_earlier_forms


def is_valid_key(field, text) -> bool:
    """Return True if the text is a valid value of this key field."""
    with suppress(ValidationError):
        return field.clean(text, None) is not None
    return False


class ValidAutocompleteSelect(AutocompleteSelect):
    """An autocomplete field that ignores invalid keys, for which Django's raises ValueError."""

    def optgroups(self, name, value, attr=None):
        valid = [text for text in value if is_valid_key(self.field.target_field, text)]
        return super().optgroups(name, valid, attr)


class ValidMultipleChoiceField(ModelMultipleChoiceField):
    """A field that refuses invalid keys, for which Django raises OverflowError on SQLite."""

    def clean(self, value):
        for text in value or []:
            if not is_valid_key(self.queryset.model._meta.pk, text):
                message = self.error_messages["invalid_pk_value"]
                raise ValidationError(message, "invalid_pk_value", {"pk": text})
        return super().clean(value)


class ServiceAdmin(admin.ModelAdmin):
    """Lock rows before a write; an action applies to all selected rows or to none."""

    show_full_result_count = False
    locked = ["self"]

    def lookup_allowed(self, lookup, value, request):
        """Allow filters of the page only: others in the URL could reveal encrypted columns."""
        filters = [getattr(f, "parameter_name", f) for f in self.get_list_filter(request)]
        field, _, kind = lookup.partition("__")
        return field in filters and kind in ("", "exact", "id__exact", "isnull")

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = ValidAutocompleteSelect(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field, request=None, **kwargs):
        kwargs["form_class"] = ValidMultipleChoiceField
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def get_changeform_initial_data(self, request):
        """Ignore initial data from the query string."""
        return {}

    def get_formset_kwargs(self, request, row, inline, prefix):
        """Fill in what was typed before the session ended."""
        typed, _has_secrets = unsent.read(request)
        kwargs = super().get_formset_kwargs(request, row, inline, prefix)
        return kwargs | {"data": typed} if typed else kwargs

    def render_change_form(self, request, context, *args, **kwargs):
        """Fill in what was typed before the session ended."""
        unsent.fill_in(request, context["adminform"].form)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_search_results(self, request, rows, search_term):
        """Refuse long texts and many words, because each word is a condition of the query."""
        try:
            return self.search(request, rows, " ".join(split_words(search_term)))
        except ValidationError as error:
            self.message_user(request, error.messages[0], messages.ERROR)
            return rows.none(), False

    def search(self, request, rows, text):
        """Return the matching rows, and True if they may have duplicates."""
        return super().get_search_results(request, rows, text)

    def lock(self, rows):
        return rows.select_related(*self.list_select_related).select_for_update(of=self.locked)

    def get_object(self, request, object_id, from_field=None):
        """Lock the row if a transaction is open: the admin opens one only to write."""
        row = super().get_object(request, object_id, from_field)
        if row and not transaction.get_autocommit():
            row.refresh_from_db(from_queryset=self.lock(self.model.objects.all()))
        return row

    def add_view(self, request, form_url="", extra_context=None):
        """Add one row if the form is sent twice, such as by a double click."""
        form_uuid = get_form_uuid(request)
        if form_uuid is None:
            return super().add_view(request, form_url, extra_context)
        with transaction.atomic():
            wait_for_earlier_forms(request.user)
            if row := self.find_added(form_uuid):
                return self.response_add(request, row)
            return super().add_view(request, form_url, extra_context)

    def find_added(self, form_uuid):
        """Return the row that this form added if it was sent before, or None."""

    @transaction.atomic
    def response_action(self, request, queryset):
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if not all(is_valid_key(self.opts.pk, text) for text in selected):
            self.message_user(request, "Select rows of this list.", messages.ERROR)
            return None  # shows the list again
        response = super().response_action(request, self.lock(queryset))
        # A page that asks for confirmation reads the locked rows as late as when it is rendered.
        return response.render() if isinstance(response, TemplateResponse) else response

    def delete_queryset(self, request, queryset):
        """Delete row by row, because a bulk delete calls no model methods."""
        for row in queryset:
            self.delete_model(request, row)

    def change_each(self, request, rows, change, description):
        """Call `change` for each row, log it, and show the number of rows or the error."""
        try:
            with transaction.atomic():
                for row in rows:
                    change(row)
                    self.log_change(request, row, f"{description}.")
        except ValidationError as error:
            self.message_user(request, error.message, messages.ERROR)
            return
        done = f"{description}: {len(rows)} {model_ngettext(self.opts, len(rows))}."
        nothing = "Nothing to do: no selected row needs this change."
        self.message_user(
            request, done if rows else nothing, messages.SUCCESS if rows else messages.WARNING
        )

    def show_once(self, request, template, title, **context):
        """Render a secret in the answer itself, because messages are stored in a cookie."""
        context |= {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        return TemplateResponse(
            request, f"admin/mailboxes/{self.opts.model_name}/{template}.html", context
        )


class YesNoFilter(admin.SimpleListFilter):
    """Filter the list by a condition (Yes) or by its opposite (No)."""

    condition: Q

    def lookups(self, request, model_admin):
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request, queryset):
        conditions = {"yes": self.condition, "no": ~self.condition}
        return queryset.filter(conditions.get(self.value(), Q()))


class ReadOnly(ServiceAdmin):
    """Rows that the admin shows, but does not add, change or delete."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, row=None):
        return False

    def has_delete_permission(self, request, row=None):
        return False
