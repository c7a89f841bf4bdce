"""Pages that stay up to date: static/js/live.js requests them again every few seconds."""

import hashlib

from django.http import HttpResponseNotModified


class UnchangedResponse(HttpResponseNotModified):
    """The answer that live.js gets most of the time, so it has no line in the log."""

    is_logged = False


def get_state(*values) -> str:
    """Return an ETag: another one if any of the values, which a page shows, is another one."""
    return f'"{hashlib.sha256(repr(values).encode()).hexdigest()}"'


def answer_if_unchanged(request, state: str | None) -> UnchangedResponse | None:
    """Return the answer to live.js if the page still has the state that live.js has shown."""
    is_unchanged = state is not None and request.headers.get("If-None-Match") == state
    return UnchangedResponse() if is_unchanged else None


def get_live_context(request, state: str | None) -> dict:
    """Return the context of a live page; without a state, it stays as it is.

    live.js gets no messages to the user: they are for the next page that is opened.
    """
    is_from_live_page = "If-None-Match" in request.headers  # browsers keep no staff pages
    layout = "console/part.html" if is_from_live_page else "console/base.html"
    return {"layout": layout, "live_state": state}
