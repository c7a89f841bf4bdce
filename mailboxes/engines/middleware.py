"""Calls of telephone engines: where one gets nothing, no body that it could take for a mailbox."""

import logging

from django.http import HttpResponse

from mailboxes import contract
from mailboxes.engines import asterisk
from mailboxes.http.machine_paths import MachinePathMiddleware

log = logging.getLogger("mailboxes.engines")


class EngineMiddleware(MachinePathMiddleware):
    """Empties every error under an engine's path, whoever made it.

    Asterisk takes any body with an equals sign for a mailbox, an error's too.
    """

    KEPT_HEADERS = ("Allow", "WWW-Authenticate")

    def handles_path(self, path):
        return contract.is_engine_path(path)

    def finish_response(self, request, response):
        if response.status_code < 400:
            return response
        if request.path_info.endswith(asterisk.UPDATE):
            log.warning("A pass code was not changed by telephone: %s.", response.status_code)
            return asterisk.nothing_changed()
        return HttpResponse(status=response.status_code, headers=self.kept_headers(response))
