"""API errors, and the handler that turns a view's exceptions into answers."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig, ValidationError
from django.db import IntegrityError
from django.http import UnreadablePostError
from rest_framework import exceptions, serializers
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler as rest_exception_handler

from mailboxes.contract import MAX_BODY_BYTES, RETRY_SECONDS, STATUSES_WITHOUT_ERRORS
from mailboxes.db.connections import UNAVAILABLE
from mailboxes.http.bodies import UNENCODED, TooManyFilesError
from mailboxes.http.ranges import UnsatisfiableRangeError

# Codes of a model's ValidationError that mean a conflict with stored rows (409), not a bad value (400).
CONFLICTS = {"unique", "limit", "in_use"}


class Conflict(exceptions.APIException):
    status_code = 409
    default_detail = "This conflicts with what is stored."
    default_code = "conflict"


class OfReseller(Conflict):
    default_detail = "This sound belongs to a reseller of the account: only it can change it."
    default_code = "of_reseller"


class PreconditionFailed(exceptions.APIException):
    status_code = 412
    default_detail = "It has changed since you read it: read it again, and send its new ETag."
    default_code = "changed"


class WeakETag(PreconditionFailed):
    default_detail = (
        "If-Match has a weak ETag, W/, which never matches. A proxy makes ETags weak if it compresses "
        "answers: send the ETag without W/, and turn off the proxy's compression of JSON."
    )
    default_code = "weak_etag"


class ContentTooLarge(exceptions.APIException):
    status_code = 413
    default_detail = f"The body is larger than {MAX_BODY_BYTES // 1024} KiB."
    default_code = "too_large"


class UnsupportedEncoding(exceptions.APIException):
    status_code = 415
    default_detail = UNENCODED
    default_code = "unsupported_encoding"
    headers = {"Accept-Encoding": "identity"}


class RangeNotSatisfiable(exceptions.APIException):
    status_code = 416
    default_detail = "The range begins after the end."
    default_code = "range"


class ServiceUnavailable(exceptions.APIException):
    status_code = 503
    default_detail = "The database does not answer."
    default_code = "unavailable"
    wait = RETRY_SECONDS  # sent as Retry-After


class MailboxFull(exceptions.APIException):
    status_code = 507
    default_code = "full"


def exception_handler(exc, context):
    """Return the answer to an exception, or None for a bug, which Django logs and answers."""
    match exc:
        case ValidationError():
            exc = conflict_or_bad_request(exc)
        case UnreadablePostError():
            exc = exceptions.ParseError("The body is incomplete.")
        case RequestDataTooBig():
            exc = ContentTooLarge()
        case UnsatisfiableRangeError(headers=headers):
            exc = RangeNotSatisfiable()
            exc.headers = headers
        case IntegrityError():
            # Another writer was faster than our validation; a database constraint caught it.
            exc = Conflict()
        case TooManyFilesError():
            exc = ServiceUnavailable("Too many long answers at once: try again later.")
        case _ if isinstance(exc, UNAVAILABLE):
            exc = ServiceUnavailable()
    response = rest_exception_handler(exc, context)
    if response is not None:
        is_explained = (
            isinstance(exc, exceptions.APIException)
            and exc.status_code not in STATUSES_WITHOUT_ERRORS
        )
        response.data = format_errors(exc) if is_explained else None
        for name, value in getattr(exc, "headers", {}).items():
            response[name] = value
    return response


def conflict_or_bad_request(exc: ValidationError) -> exceptions.APIException:
    """Convert a model's ValidationError to an exception of DRF.

    It is 409 if a value exists already, a limit is reached or the row is in use, else 400.
    """
    detail = serializers.as_serializer_error(exc)
    codes = {error.code for errors in detail.values() for error in errors}
    if codes & CONFLICTS:
        return Conflict(detail)
    return exceptions.ValidationError(detail)


def format_errors(exc: exceptions.APIException) -> dict:
    """Return `{field: [{"code": …, "message": …}]}`, the rest under `non_field_errors`."""
    details: Any = exc.get_full_details()
    if not isinstance(exc.detail, dict):
        details = {api_settings.NON_FIELD_ERRORS_KEY: details}
    return {
        api_settings.NON_FIELD_ERRORS_KEY if field == NON_FIELD_ERRORS else field: list(
            list_errors(errors)
        )
        for field, errors in details.items()
    }


def list_errors(errors) -> Iterator[dict]:
    """Yield the errors of a field, also those of the items of a list."""
    if isinstance(errors, list):
        yield from chain.from_iterable(map(list_errors, errors))
    elif errors.keys() == {"code", "message"}:
        yield {"code": errors["code"], "message": errors["message"]}
    else:
        yield from chain.from_iterable(map(list_errors, errors.values()))
