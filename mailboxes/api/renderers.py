"""Answers in the contract's envelope."""

import orjson
from django.http import HttpResponse
from rest_framework.renderers import BaseRenderer

from mailboxes.contract import envelope

MEDIA_TYPE = "application/json"


class EnvelopeRenderer(BaseRenderer):
    """Render JSON in the contract's envelope. A date is YYYY-MM-DD, a UUID in lower case."""

    media_type = MEDIA_TYPE
    format = "json"
    charset = None

    def render(self, data, accepted_media_type=None, renderer_context=None):
        # Breaks a reference cycle, which would keep a long list in memory until garbage collection.
        response = renderer_context.pop("response")
        if response.status_code in (204, 304):
            return b""  # HTTP forbids a body here
        part = "errors" if response.exception else "result"
        return orjson.dumps(envelope(response.status_code, **{part: data}))


def error_response(status: int, headers=None) -> HttpResponse:
    """Return an error in the API's JSON envelope, for errors raised outside its views."""
    body = orjson.dumps(envelope(status))
    return HttpResponse(body, content_type=MEDIA_TYPE, status=status, headers=headers)
