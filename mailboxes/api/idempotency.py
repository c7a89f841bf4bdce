"""Calls that are safe to repeat: `Idempotency-Key` on POST (draft-ietf-httpapi-idempotency-key-header).

A caller who got no answer sends the same call with the same key again. What was done is not
done twice: within a day the first answer is given again. The record of it and the work are one
transaction. A call that was refused has changed nothing, so it is not recorded.
"""

import hashlib
import re
from secrets import compare_digest

import orjson
from django.db import connection, transaction
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response

from mailboxes.api.conditions import entity_tag
from mailboxes.api.exceptions import Conflict
from mailboxes.encryption import UnknownKeyError
from mailboxes.models import IdempotentAnswer

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"

# The draft has it as a structured field's text, in quotes; without them it is taken too.
KEY = re.compile(r'\A(?:"([\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x5b\x5d-\x7e]{1,255}))\Z')


WRONG_KEY = "Use 1 to 255 characters of ASCII without spaces, such as a UUID."


class StillRuns(Conflict):
    default_detail = "The first call with this key still runs."
    default_code = "in_progress"


class AnswerLost(Conflict):
    default_detail = "The first call with this key is done; no key at hand opens its answer."
    default_code = "answer_lost"


class KeyUsedForAnother(APIException):
    status_code = 422
    default_detail = "This key was used for another call: take a new one."
    default_code = "key_reused"


def once(view, work) -> Response:
    """What `work` answers or, if the caller's key was used before, the first answer again.

    With a key, the work and the record of it are one transaction. Raises StillRuns while the
    first call does.
    """
    key = read_key(view.request)
    return work() if key is None else once_with(key, view, work)


@transaction.atomic
def once_with(key: str, view, work) -> Response:
    request = view.request
    hold(request.user, key)
    fingerprint = fingerprint_of(request)
    first = IdempotentAnswer.objects.current().filter(account=request.user, key=key).first()
    if first is None:
        response = work()
        answer = {"result": response.data, "etag": entity_tag(view.row)}
        IdempotentAnswer.objects.store(
            request.user, key, fingerprint, response.status_code, orjson.dumps(answer).decode()
        )
        return response
    if not compare_digest(first.fingerprint, fingerprint):
        raise KeyUsedForAnother
    try:
        answer = orjson.loads(first.body)
    except UnknownKeyError:
        raise AnswerLost from None
    headers = {REPLAYED: "true", "ETag": answer["etag"]}
    return Response(answer["result"], status=first.status, headers=headers)


def read_key(request) -> str | None:
    """The key, without its quotes. Raises ValidationError naming the header."""
    if HEADER not in request.headers:
        return None
    match = KEY.match(request.headers[HEADER])
    if not match:
        raise ValidationError({HEADER: [WRONG_KEY]})
    return match[1] or match[2]


def fingerprint_of(request) -> str:
    """Tells one call from another. Keyed: the four digits of a pass code can be guessed from a bare hash."""
    call = f"{request.method} {request.path.rstrip('/').lower()}\n".encode() + request.body
    return salted_hmac("mailboxes.idempotency", call, algorithm="sha256").hexdigest()


def hold(account, key) -> None:
    """Keep others with this key out until the transaction ends: SQLite's writers queue by themselves."""
    if connection.vendor == "postgresql":
        digest = hashlib.sha256(f"{account.pk}:{key}".encode()).digest()
        number = int.from_bytes(digest[:8], signed=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
            if not cursor.fetchone()[0]:
                raise StillRuns
