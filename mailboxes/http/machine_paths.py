"""Paths that programs call: answered past all that only pages need."""

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpResponse
from django.urls import resolve
from simple_history.middleware import HistoryRequestMiddleware

from mailboxes.monitoring import logs


class MachinePathMiddleware:
    """Middleware that calls the view of such a path itself: no session, message or cookie is looked for behind it.

    What comes without HTTPS is refused, never redirected: a redirect would lose a POST's body.
    """

    KEPT: tuple[str, ...]  # headers of an answer that stay when `finish` makes another of it

    def __init__(self, get_response):
        self.get_response = get_response
        # An exception becomes a response, as between any two middlewares of Django's.
        self.answer = convert_exception_to_response(HistoryRequestMiddleware(call_view))

    def __call__(self, request):
        if not self.is_ours(request.path_info):
            return self.get_response(request)
        response = refuse_without_https() if lacks_https(request) else self.answer(request)
        response = self.finish(request, response)
        if not response.streaming and response.status_code != 204:  # RFC 9110, 8.6
            response["Content-Length"] = str(len(response.content))
        return response

    def is_ours(self, path: str) -> bool:
        """Whether this middleware answers there."""
        raise NotImplementedError

    def finish(self, request, response):
        """The answer as its caller understands it, whoever made it."""
        raise NotImplementedError

    def kept(self, response) -> dict[str, str]:
        """Those of the answer's headers that stay."""
        return {name: response[name] for name in self.KEPT if name in response}


def lacks_https(request) -> bool:
    """Return True if the request must be refused: it came without HTTPS, which is on."""
    return settings.HTTPS and not request.is_secure()


def refuse_without_https():
    logs.refusal.set("no-https")
    return HttpResponse(status=403)


def call_view(request):
    """What the view at that path answers. Raises Http404, DisallowedHost, or what the view did not expect."""
    request.get_host()
    match = request.resolver_match = resolve(request.path_info)
    response = match.func(request, *match.args, **match.kwargs)
    return response.render() if hasattr(response, "render") else response
