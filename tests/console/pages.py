"""Read responses of the staff pages, and the admin's log."""

import re
from html import unescape

from django.contrib.admin.models import LogEntry
from django.utils.html import strip_tags


def get_source(browser, address="/"):
    response = browser.get(address)
    assert response.status_code == 200
    return response.content.decode()


def get_text(response) -> str:
    """Return the text of the page, without tags, with single spaces."""
    return " ".join(unescape(strip_tags(response.content.decode())).split())


def get_errors(response) -> dict:
    """Return the form's errors by field; the page must have been shown again."""
    assert response.status_code == 200
    return response.context["form"].errors


def read_log() -> list:
    """Return the admin's log, oldest first: user name, object and message of each entry."""
    return [
        (entry.user.username, str(entry.object_repr), entry.get_change_message())
        for entry in LogEntry.objects.order_by("pk")
    ]


def get_form_values(response) -> dict:
    """Return what a browser sends for the page's form, as it is shown."""
    shown = {field.html_name: field.value() for field in response.context["form"]}
    values = {name: value for name, value in shown.items() if value not in (None, False)}
    first = re.findall(
        r'<input type="hidden" name="(initial-\w+)"(?: value="([^"]*)")?', response.content.decode()
    )
    for name, value in first:
        values.setdefault(name, []).append(unescape(value))
    return values
