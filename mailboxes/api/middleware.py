"""Middleware that answers the API's paths."""

from mailboxes import contract
from mailboxes.api.renderers import EnvelopeRenderer, error_response
from mailboxes.http.machine_paths import MachinePathMiddleware


class ApiMiddleware(MachinePathMiddleware):
    """Wrap errors raised outside API views in the envelope: unknown path, bad host, crash."""

    KEPT_HEADERS = ("Allow", "Retry-After")

    def handles_path(self, path):
        return contract.is_api_path(path)

    def finish_response(self, request, response):
        made_by_view = isinstance(getattr(response, "accepted_renderer", None), EnvelopeRenderer)
        if response.status_code >= 400 and not made_by_view:
            return error_response(response.status_code, self.kept_headers(response))
        return response
