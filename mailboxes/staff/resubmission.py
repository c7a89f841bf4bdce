"""Forms that are sent twice, such as by a double click in a browser without JavaScript.

The browser shows only the second answer, so it must repeat the first.
"""

from uuid import UUID

from django.contrib.auth import get_user_model
from django.utils.crypto import salted_hmac


def get_form_uuid(request) -> UUID | None:
    """Return a UUID that is the same only if the same page's form is sent again unchanged.

    Django masks the CSRF token differently each time that a page is shown. Without a token the
    request did not come from a page, and the result is None.
    """
    if not request.POST.get("csrfmiddlewaretoken"):
        return None
    # An HMAC, because the form may have a pass code, which could be found by trial.
    text = f"{request.user.pk} {request.path} {request.POST.urlencode()}"
    digest = salted_hmac("mailboxes.form", text, algorithm="sha256").digest()
    return UUID(bytes=digest[:16], version=4)


def wait_for_earlier_forms(user) -> None:
    """Lock the user until the transaction ends. The second form of a double click waits here."""
    users = get_user_model().objects.filter(pk=user.pk)
    users.select_for_update(no_key=True).get()
