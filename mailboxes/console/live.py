"""Pages that stay up to date: static/js/live.js requests them again every few seconds."""

import hashlib

from django.http import HttpResponseNotModified


class UnchangedResponse(HttpResponseNotModified):
    """The most frequent answer to live.js, so it has no line in the log."""

    is_logged = False


def get_state(*values) -> str:
    """Return an ETag of the values that a page shows: it changes if any of them does."""
    return f'"{hashlib.sha256(repr(values).encode()).hexdigest()}"'


def answer_if_unchanged(request, state: str | None) -> UnchangedResponse | None:
    """Return 304 if live.js already shows this state, else None."""
    is_unchanged = state is not None and request.headers.get("If-None-Match") == state
    return UnchangedResponse() if is_unchanged else None


def get_live_context(request, state: str | None) -> dict:
    """Return template variables of a live page. Without a state, it is not updated.

    The layout for live.js leaves out messages to the user: the next page that is opened shows them.
    """
    is_from_live_page = "If-None-Match" in request.headers  # browsers do not cache staff pages
    layout = "console/part.html" if is_from_live_page else "console/base.html"
    return {"layout": layout, "live_state": state}
