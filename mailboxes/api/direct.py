"""The plainest reads, answered past the view: what makes it a view costs more than the reading.

Who may call, how often, what is read and how it is shown is asked of the same code as in the
view. What is to be refused is left to the view, with the reason.
"""

from collections.abc import Callable
from functools import lru_cache, wraps

import orjson
from django.http import HttpResponse
from rest_framework.exceptions import APIException, Throttled

from mailboxes import replica
from mailboxes.api.conditions import answer_if_changed
from mailboxes.api.renderers import MEDIA_TYPE
from mailboxes.contract import envelope
from mailboxes.statements import AWAY

ANY_JSON = {MEDIA_TYPE, "application/*", "*/*"}


def directly(read: Callable, view):
    """The view, asked only for what `read` is not: for other methods, with a query, in another form, and to refuse.

    `read` takes where to read, the account's key and what the path names, and returns the result
    and its headers.
    """

    @wraps(view)
    def answer(request, **named):
        if is_plain(request):
            try:
                return result(request, view.cls, read, named)
            except (APIException, *AWAY) as refusal:
                request.refusal = refusal
        return view(request, **named)

    return answer


def is_plain(request) -> bool:
    """Whether it asks for all there is, as JSON."""
    return (
        request.method == "GET"
        and not request.META.get("QUERY_STRING")
        and takes_json(request.META.get("HTTP_ACCEPT", ""))
    )


@lru_cache
def takes_json(accept: str) -> bool:
    """Whether it says so without more ado."""
    return not accept or any(
        part.partition(";")[0].strip() in ANY_JSON for part in accept.split(",")
    )


def result(request, command, read, named):
    """The answer. Raises what the view would: who calls, and how often, is asked of what its class names."""
    (authentication,), (throttling,) = command.authentication_classes, command.throttle_classes
    request.user, request.auth = authentication().authenticate(request)
    throttle = throttling()
    if not throttle.allow_request(request, view=None):
        raise Throttled(throttle.wait())
    found, headers = replica.read(
        request.auth.log_end, lambda using: read(using, request.user.pk, **named)
    )
    body = orjson.dumps(envelope(200, found))
    return answer_if_changed(request, HttpResponse(body, MEDIA_TYPE, headers=headers))
