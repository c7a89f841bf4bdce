"""Forms that were refused because the session had ended.

A cookie keeps what was typed until the page is open again, except pass codes and passwords.
"""

import re
from contextlib import suppress

from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.http import QueryDict
from django.utils.translation import gettext as _

from mailboxes.contract import MASK

COOKIE = "unsent"
SECONDS = 3600
MAX_TYPED = 20_000  # characters
MAX_LENGTH = 2500  # of the cookie: some proxies refuse an answer with over 4 KB of headers

SECRET = re.compile("password|code|secret|token")  # in the name of a field
CSRF_TOKEN = "csrfmiddlewaretoken"  # noqa: S105  a field's name


def encode(request) -> str:
    """Return the fields of the request for the cookie; nothing if there are none, or too many."""
    fields = request.POST.copy()
    secrets = {name: fields.pop(name)[-1] for name in request.POST if SECRET.search(name)}
    secrets.pop(CSRF_TOKEN, None)
    has_secrets = not {"", MASK}.issuperset(secrets.values())
    typed = fields.urlencode()
    if not (typed or has_secrets) or len(typed) > MAX_TYPED:
        return ""
    text = signing.dumps([request.path, typed, has_secrets], salt=COOKIE, compress=True)
    return text if len(text) <= MAX_LENGTH else ""


def keep(response, text) -> None:
    """Set the cookie to the encoded fields, if there are any."""
    if text:
        response.set_cookie(
            COOKIE,
            text,
            max_age=SECONDS,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite=settings.SESSION_COOKIE_SAMESITE,
        )


def read(request) -> tuple[QueryDict | None, bool]:
    """Return the fields of a form of this page, if any, and True if others were not kept."""
    with suppress(signing.BadSignature):
        path, fields, has_secrets = signing.loads(
            request.COOKIES.get(COOKIE, ""), salt=COOKIE, max_age=SECONDS
        )
        if request.method == "GET" and path.startswith(request.path):
            return QueryDict(fields), has_secrets
    return None, False


def keep_first_values(form, fields, typed):
    """Keep what the page had at first in its hidden fields.

    So OwnChangesForm finds what others have saved since then.
    """
    names = {name: form.add_initial_prefix(name) for name in fields}
    has_first_values = any(key in typed for key in names.values())
    form.data = QueryDict(mutable=True)
    for name, key in names.items():
        if has_first_values and fields[name].show_hidden_initial:
            form.data.setlist(key, typed.getlist(key))
        else:
            fields[name].show_hidden_initial = False  # it would be what was typed


def fill_in(request, form):
    """Fill the page's form with what was typed in it, if anything. Return the form.

    A message says that it is not saved. The middleware UnsentForms then removes the cookie
    that kept it.
    """
    typed, has_secrets = read(request)
    fields = {
        name: field
        for name, field in form.fields.items()
        if not (field.disabled or SECRET.search(name))
    }
    required = [form.add_prefix(name) for name, field in fields.items() if field.required]
    if typed is None or not all(name in typed for name in required):
        return form  # a page may have several forms
    for name, field in fields.items():
        value = field.widget.value_from_datadict(typed, {}, form.add_prefix(name))
        form.initial[name] = value
    keep_first_values(form, fields, typed)
    texts = [_("You were signed out, so nothing was saved.")]
    if typed:
        texts.append(_("What you typed is in the form again."))
    if has_secrets:
        texts.append(_("Pass codes and passwords are not kept: enter them again."))
    messages.warning(request, " ".join(texts))
    request.unsent_is_shown = True
    return form
