"""A browser for the admin: sign in, open a page, fill in its form, save."""

import re
from html import unescape

from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

DELETED = "This mailbox was deleted. Restore it first."


class Browser(Client):
    """Address the admin's pages by name, such as `mailbox_change`."""

    def open(self, page, *args, **query):
        return self.get(get_address(page, *args), query)

    def press(self, page, *args, **data):
        return self.post(get_address(page, *args), data)

    def save(self, page, *args, **changes):
        """Save the page's form as it is shown, with these fields changed."""
        return self.press(page, *args, **get_form_values(self.open(page, *args)) | changes)

    def run_action(self, page, action, *rows, query="", **more):
        """Select the rows in a list, filtered by the query string, and run the action."""
        form = {"action": action, "_selected_action": [row.pk for row in rows]}
        return self.post(get_address(page) + query, form | more)


def get_address(page, *args):
    return reverse(f"admin:mailboxes_{page}", args=args)


def get_form_values(page):
    """Return the names and values that a browser sends for the page's form."""
    forms = [page.context["adminform"].form]
    for inline in page.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    values = {field.html_name: field.value() for form in forms for field in form}
    # Hidden fields with the values that the page had at first.
    first = re.findall(r'<input type="hidden" name="(initial-\w+)" value="([^"]*)"', page.text)
    values |= {name: unescape(value) for name, value in first}
    return {
        name: value for name, value in values.items() if value is not None and value is not False
    }


def get_errors(page):
    """Return the errors of the page's form, by field."""
    return page.context["adminform"].form.errors


def read_log():
    """Return the messages of the admin's log, oldest first."""
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def sign_in(user):
    browser = Browser(SERVER_NAME="localhost")
    browser.force_login(user)
    return browser
