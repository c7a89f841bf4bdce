"""Middleware that answers the paths of telephone engines."""

import logging

from django.http import HttpResponse

from mailboxes import contract
from mailboxes.engines import asterisk
from mailboxes.http.machine_paths import MachinePathMiddleware

log = logging.getLogger("mailboxes.engines")


class EngineMiddleware(MachinePathMiddleware):
    """Empty the body of every error but 415.

    Asterisk would read any body as a mailbox, even that of an error. But engines send plain
    forms, so only other programs get a 415.
    """

    KEPT_HEADERS = ("Allow", "WWW-Authenticate")

    def handles_path(self, path):
        return contract.is_engine_path(path)

    def finish_response(self, request, response):
        if response.status_code < 400 or response.status_code == 415:
            return response
        if contract.is_engine_update(request.path_info):
            log.warning(
                "Refused to change a pass code by telephone, with status %s.", response.status_code
            )
            return asterisk.refused_update_response()
        return HttpResponse(status=response.status_code, headers=self.kept_headers(response))
