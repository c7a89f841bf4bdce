"""Middleware that answers the API's paths."""

from mailboxes import contract
from mailboxes.api.authentication import CHALLENGE
from mailboxes.api.parsers import prefers_json
from mailboxes.api.renderers import EnvelopeRenderer, error_response
from mailboxes.http.machine_paths import MachinePathMiddleware
from mailboxes.staff.sign_in import leads_to_sign_in


class ApiMiddleware(MachinePathMiddleware):
    """Wrap errors raised outside API views in the envelope: unknown path, bad host, crash.

    On other paths, an error has the envelope if a program called, such as one with a wrong address.
    It is not sent to the sign-in page, which would look like a success.
    """

    KEPT_HEADERS = ("Allow", "Retry-After")

    def __call__(self, request):
        response = super().__call__(request)
        if contract.is_machine_path(request.path_info) or not is_from_program(request):
            return response
        if leads_to_sign_in(request, response):
            return error_response(401, {"WWW-Authenticate": CHALLENGE})
        return self.finish_response(request, response)

    def handles_path(self, path):
        return contract.is_api_path(path)

    def finish_response(self, request, response):
        made_by_view = isinstance(getattr(response, "accepted_renderer", None), EnvelopeRenderer)
        if response.status_code >= 400 and not made_by_view:
            return error_response(response.status_code, self.kept_headers(response))
        return response


def is_from_program(request) -> bool:
    """Return True if the request has an API credential, or asks for JSON and not for HTML."""
    return (
        any(key.startswith("HTTP_X_AUTH_") for key in request.META)
        or request.headers.get("Authorization", "").lower().startswith("bearer ")
        or prefers_json(request.headers.get("Accept", ""))
    )
