"""Middleware that keeps what was typed in a form if the session has ended."""

from django.urls import reverse
from django.views.decorators.csrf import csrf_protect

from mailboxes.http.bodies import BODY_UNREAD
from mailboxes.staff import unsent
from mailboxes.staff.sign_in import leads_to_sign_in

SIGN_OUT_PAGES = ["console:sign-out", "admin:logout"]


class UnsentForms:
    """Set the cookie if a form leads to the sign-in page.

    Remove it once its text was shown, and at sign-out: the next user may be another one.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if request.path in map(reverse, SIGN_OUT_PAGES):
            response.delete_cookie(unsent.COOKIE)
        elif request.method == "POST" and BODY_UNREAD not in request.META:
            if leads_to_sign_in(request, response):
                return keep_typed(request, response)
        elif hasattr(request, "unsent_is_shown"):
            response.delete_cookie(unsent.COOKIE)
        return response


@csrf_protect  # SecondFactor redirects before the form is checked
def keep_typed(request, response):
    unsent.keep(response, unsent.encode(request))
    return response
