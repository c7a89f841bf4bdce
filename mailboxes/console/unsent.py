"""Middleware that keeps what was typed in a form if the session has ended."""

from django.urls import reverse

from mailboxes.http.bodies import BODY_UNREAD
from mailboxes.staff import unsent

SIGN_IN_PAGES = ["console:sign-in", "console:sign-in-code", "admin:login"]


class UnsentForms:
    """Set the cookie if a form leads to the sign-in page; remove it once its text was shown."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if request.method == "POST" and BODY_UNREAD not in request.META:
            page, _query, next_page = response.headers.get("Location", "").partition("?next=")
            if next_page and page in map(reverse, SIGN_IN_PAGES):
                unsent.keep(response, unsent.encode(request))
        elif hasattr(request, "unsent_is_shown"):
            response.delete_cookie(unsent.COOKIE)
        return response
