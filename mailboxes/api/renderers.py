"""The one place that builds an answer's envelope."""

import orjson
from django.http import HttpResponse
from rest_framework.renderers import BaseRenderer

from mailboxes.contract import envelope

MEDIA_TYPE = "application/json"


class EnvelopeRenderer(BaseRenderer):
    """JSON in the contract's envelope. A date is written YYYY-MM-DD, a UUID in lower case."""

    media_type = MEDIA_TYPE
    format = "json"
    charset = None

    def render(self, data, accepted_media_type=None, renderer_context=None):
        # Left there, the two would hold each other, and a long list with them, until garbage is collected.
        response = renderer_context.pop("response")
        if response.status_code in (204, 304):
            return b""  # HTTP forbids a body here
        part = "errors" if response.exception else "result"
        return orjson.dumps(envelope(response.status_code, **{part: data}))


def error_response(status: int, headers=None) -> HttpResponse:
    """An error in the envelope, for where no API view runs."""
    body = orjson.dumps(envelope(status))
    return HttpResponse(body, content_type=MEDIA_TYPE, status=status, headers=headers)
