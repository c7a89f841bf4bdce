"""What an engine is told when it gets nothing: no body that it could take for a mailbox."""

import logging

from django.conf import settings
from django.http import HttpResponse

from mailboxes import contract
from mailboxes.engines import asterisk

log = logging.getLogger("mailboxes.engines")

KEPT = ("Allow", "WWW-Authenticate")


class Refusals:
    """Empties every error under an engine's path, whoever made it, and refuses what comes without HTTPS.

    Asterisk takes any body with an equals sign for a mailbox, an error's too.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if not contract.is_engine_path(request.path_info):
            return self.get_response(request)
        if settings.HTTPS and not request.is_secure():
            return self.refusal(request, HttpResponse(status=403))
        response = self.get_response(request)
        return response if response.status_code < 400 else self.refusal(request, response)

    @staticmethod
    def refusal(request, response):
        if request.path_info == asterisk.UPDATE_PATH:
            log.warning("A pass code was not changed by telephone: %s.", response.status_code)
            return asterisk.nothing_changed()
        kept = {name: response[name] for name in KEPT if name in response}
        return HttpResponse(status=response.status_code, headers=kept)
