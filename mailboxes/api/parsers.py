"""Request bodies: JSON objects, and nothing else."""

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser


class Negotiation(DefaultContentNegotiation):
    def select_parser(self, request, parsers):
        """A body that says nothing of its type is taken for JSON; another type is 415."""
        if not request.content_type:
            return parsers[0]
        return super().select_parser(request, parsers)


class JSONObjectParser(JSONParser):
    """JSON as RFC 8259 has it (no NaN, no lone surrogates, no bottomless nesting), an object at the top."""

    def parse(self, stream, media_type=None, parser_context=None):
        try:
            data = orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not valid JSON: {error}.") from None
        if not isinstance(data, dict):
            raise ParseError("The body must be a JSON object.")
        return data
