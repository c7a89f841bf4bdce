"""What tests of the staff's pages ask of an answer, and of the log."""

from html import unescape

from django.contrib.admin.models import LogEntry
from django.utils.html import strip_tags


def read(browser, address):
    """The page's source."""
    response = browser.get(address)
    assert response.status_code == 200
    return response.content.decode()


def words(response) -> str:
    """What a person reads on the page, with one space between words."""
    return " ".join(unescape(strip_tags(response.content.decode())).split())


def errors(response) -> dict:
    """What the page says is wrong with each field of its form; the page was shown again, nothing was done."""
    assert response.status_code == 200
    return response.context["form"].errors


def log() -> list:
    """Who did what to what, as the admin's log says, the oldest first."""
    return [
        (entry.user.username, str(entry.object_repr), entry.get_change_message())
        for entry in LogEntry.objects.order_by("pk")
    ]
