"""Template variables for the navigation of every page."""

from django.db import DatabaseError

from mailboxes.delivery.failures import list_failed


def navigation(request) -> dict:
    """Return the variables of every template (a context processor)."""
    return {"has_failed_tasks": has_failed_tasks}


def has_failed_tasks() -> bool:
    try:
        return list_failed().exists()
    except DatabaseError:  # the error page for this has the navigation, too
        return False
