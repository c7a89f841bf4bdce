"""Parsers of JSON bodies and forms, and content negotiation."""

from functools import lru_cache

import orjson
from django.core.exceptions import TooManyFieldsSent, TooManyFilesSent
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser, JSONParser, MultiPartParser

from mailboxes.api.renderers import MEDIA_TYPE

FORM_TYPE = MultiPartParser.media_type
HTML = {"text/html", "application/xhtml+xml"}
ANY_JSON = {MEDIA_TYPE, "application/*", "*/*"}


class Negotiation(DefaultContentNegotiation):
    def get_accept_list(self, request):
        """Treat an empty Accept header as absent."""
        return [token for token in super().get_accept_list(request) if token] or ["*/*"]

    def select_renderer(self, request, renderers, format_suffix=None):
        """Skip DRF's negotiation, which is slow, if JSON is the only choice and is accepted."""
        accept = request.META.get("HTTP_ACCEPT", "")
        is_json_alone = [renderer.media_type for renderer in renderers] == [MEDIA_TYPE]
        if is_json_alone and not format_suffix and accepts_json(accept):
            return renderers[0], MEDIA_TYPE
        return super().select_renderer(request, renderers, format_suffix)

    def select_parser(self, request, parsers):
        return parsers[0] if is_json(request.content_type) else None


class FormNegotiation(Negotiation):
    def select_parser(self, request, parsers):
        return parsers[0] if is_form(request.content_type) else None


class FormOrJSONNegotiation(Negotiation):
    """Choose the first parser for a form, and the second for JSON."""

    def select_parser(self, request, parsers):
        form_parser, json_parser = parsers
        if is_form(request.content_type):
            return form_parser
        return json_parser if is_json(request.content_type) else None


class RecordingNegotiation(Negotiation):
    def select_renderer(self, request, renderers, format_suffix=None):
        """Serve players, which accept audio only. Errors are JSON all the same."""
        if "audio/" in request.META.get("HTTP_ACCEPT", "").lower():
            return renderers[0], MEDIA_TYPE
        return super().select_renderer(request, renderers, format_suffix)


@lru_cache
def accepts_json(accept: str) -> bool:
    """Return True if an Accept header surely includes JSON; if False, DRF negotiates."""
    return not accept or any(
        part.partition(";")[0].strip() in ANY_JSON for part in accept.split(",")
    )


def prefers_json(accept: str) -> bool:
    """Return True if an Accept header names JSON, or a kind of it, and does not name HTML."""
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    is_named = any(kind == "application/*" or kind.endswith(("/json", "+json")) for kind in kinds)
    return is_named and kinds.isdisjoint(HTML)


def is_json(content_type: str) -> bool:
    """Return True if the Content-Type is JSON's, or missing."""
    return (content_type or MEDIA_TYPE).partition(";")[0].strip().lower() == MEDIA_TYPE


def is_form(content_type: str) -> bool:
    """Return True if the Content-Type is that of a form with files."""
    return content_type.partition(";")[0].strip().lower() == FORM_TYPE


class JSONObjectParser(JSONParser):
    """Parse a JSON object by RFC 8259: no NaN, no lone surrogates, limited nesting."""

    def parse(self, stream, media_type=None, parser_context=None):
        return parse_object(stream.read())


class LongJSONParser(BaseParser):
    """Parse an object with a file in it, which is longer than DRF lets a JSONParser read."""

    media_type = MEDIA_TYPE

    def parse(self, stream, media_type=None, parser_context=None):
        return parse_object(stream.read())


def parse_object(text: bytes) -> dict:
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ParseError(f"The body is not valid JSON: {error}.") from None
    if not isinstance(data, dict):
        raise ParseError("The body must be a JSON object.")
    return data


class FormParser(MultiPartParser):
    """Parse a form with files."""

    def parse(self, stream, media_type=None, parser_context=None):
        media_type = (
            FORM_TYPE + media_type.strip()[len(FORM_TYPE) :]
        )  # Django reads lower case only
        try:
            return super().parse(stream, media_type, parser_context)
        except (TooManyFieldsSent, TooManyFilesSent):
            raise ParseError("The form has too many fields.") from None
