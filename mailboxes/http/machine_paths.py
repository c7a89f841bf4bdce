"""Middleware for paths that programs call. They skip the middleware that only pages need."""

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpResponse
from django.urls import resolve
from simple_history.middleware import HistoryRequestMiddleware

from mailboxes.monitoring import logs


class MachinePathMiddleware:
    """Middleware that calls the view itself, without sessions, messages and cookies.

    Calls without HTTPS are refused, not redirected: a redirect would lose a POST's body.
    """

    KEPT_HEADERS: tuple[str, ...]  # that an error keeps when `finish_response` replaces it

    def __init__(self, get_response):
        self.get_response = get_response
        # Exceptions become responses, as between any two of Django's middlewares.
        self.call_view = convert_exception_to_response(HistoryRequestMiddleware(call_view))

    def __call__(self, request):
        if not self.handles_path(request.path_info):
            return self.get_response(request)
        response = refuse_without_https() if lacks_https(request) else self.call_view(request)
        response = self.finish_response(request, response)
        if not response.streaming and response.status_code != 204:  # RFC 9110, 8.6
            response["Content-Length"] = str(len(response.content))
        return response

    def handles_path(self, path: str) -> bool:
        raise NotImplementedError

    def finish_response(self, request, response):
        """Return the response, or one in its place that the program understands."""
        raise NotImplementedError

    def kept_headers(self, response) -> dict[str, str]:
        return {name: response[name] for name in self.KEPT_HEADERS if name in response}


def lacks_https(request) -> bool:
    """Return True if the HTTPS setting is on and the request came without it."""
    return settings.HTTPS and not request.is_secure()


def refuse_without_https():
    logs.refusal.set("no-https")
    return HttpResponse(status=403)


def call_view(request):
    """Resolve the path and call its view, without the middleware that only pages need.

    Raises Http404, DisallowedHost, and exceptions of the view.
    """
    request.get_host()
    match = request.resolver_match = resolve(request.path_info)
    response = match.func(request, *match.args, **match.kwargs)
    return response.render() if hasattr(response, "render") else response
