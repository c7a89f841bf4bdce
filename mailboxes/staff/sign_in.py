"""Redirects to the pages where staff sign in."""

from django.urls import reverse

SIGN_IN_PAGES = ["console:sign-in", "console:sign-in-code", "admin:login"]


def leads_to_sign_in(request, response) -> bool:
    """Return True if the response, of a page that needs a session, redirects to sign-in."""
    page, _query, next_page = response.headers.get("Location", "").partition("?next=")
    # Forms that end a session or set a password redirect without `next`.
    is_view = request.method in ("GET", "HEAD")
    return page in map(reverse, SIGN_IN_PAGES) and (is_view or bool(next_page))
