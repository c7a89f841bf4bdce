"""Idempotency keys on POST (draft-ietf-httpapi-idempotency-key-header).

A caller that got no answer repeats the call with the same key. Within a day it gets the first
answer again, and nothing is done twice. The work and the record of it are one transaction.
A refused call has changed nothing, so it is not recorded.
"""

import hashlib
import re
from secrets import compare_digest

import orjson
from django.db import connection, transaction
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response

from mailboxes.api.conditions import get_etag
from mailboxes.api.exceptions import Conflict
from mailboxes.encryption import UnknownKeyError
from mailboxes.models import IdempotentAnswer

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"

# The draft requires quotes (a structured field's string); a key without them is accepted too.
KEY = re.compile(r'\A(?:"([\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x5b\x5d-\x7e]{1,255}))\Z')


WRONG_KEY = "Use 1 to 255 characters of ASCII without spaces, such as a UUID."


class StillRuns(Conflict):
    default_detail = "The first call with this key is still running."
    default_code = "in_progress"


class AnswerLost(Conflict):
    default_detail = "The first call with this key succeeded, but its answer cannot be decrypted."
    default_code = "answer_lost"


class KeyUsedForAnother(APIException):
    status_code = 422
    default_detail = "This key was used for another call: use a new one."
    default_code = "key_reused"


def run_once(view, work) -> Response:
    """Return the answer of `work` or, if the caller's key was used before, the first answer.

    Raises StillRuns while the first call is running.
    """
    key = parse_key(view.request)
    return work() if key is None else run_with_key(key, view, work)


@transaction.atomic
def run_with_key(key: str, view, work) -> Response:
    lock_key(view.request.user, key)
    fingerprint = compute_fingerprint(view)
    if repeated := find_answer(view.request.user, key, fingerprint):
        return repeated
    response = work()
    row = getattr(view, "row", None)
    answer = {"result": response.data, "etag": row and get_etag(row)}
    IdempotentAnswer.objects.store(
        view.request.user, key, fingerprint, response.status_code, orjson.dumps(answer).decode()
    )
    return response


def find_first_answer(view) -> Response | None:
    """Return the answer to an earlier call with the caller's key, without a lock.

    It saves long work that `run_once` would not need. Raises KeyUsedForAnother.
    """
    key = parse_key(view.request)
    if key is None:
        return None
    return find_answer(view.request.user, key, compute_fingerprint(view))


def find_answer(account, key: str, fingerprint: str) -> Response | None:
    first = IdempotentAnswer.objects.current().filter(account=account, key=key).first()
    if first is None:
        return None
    if not compare_digest(first.fingerprint, fingerprint):
        raise KeyUsedForAnother
    try:
        answer = orjson.loads(first.body)
    except UnknownKeyError:
        raise AnswerLost from None
    headers = {REPLAYED_HEADER: "true"}
    if answer["etag"]:
        headers["ETag"] = answer["etag"]
    return Response(answer["result"], status=first.status, headers=headers)


def parse_key(request) -> str | None:
    """Return the key without its quotes. Raises ValidationError naming the header."""
    if HEADER not in request.headers:
        return None
    match = KEY.match(request.headers[HEADER])
    if not match:
        raise ValidationError({HEADER: [WRONG_KEY]})
    return match[1] or match[2]


def compute_fingerprint(view) -> str:
    """Return an HMAC of the call. The order of keys and white space in its body do not matter."""
    request = view.request
    try:
        compared = view.get_compared_body()
        body = orjson.dumps(compared, option=orjson.OPT_SORT_KEYS) if compared is not None else b""
    except orjson.JSONEncodeError:  # orjson parses deeper nesting than it writes
        body = request.body
    call = f"{request.method} {request.path.rstrip('/').lower()}\n".encode() + body
    # Not a plain hash, from which the four digits of a pass code could be found by trial.
    return salted_hmac("mailboxes.idempotency", call, algorithm="sha256").hexdigest()


def lock_key(account, key) -> None:
    """Lock the key until the transaction ends. Raises StillRuns if another call has it."""
    if connection.vendor == "postgresql":  # on SQLite there is one writer at a time
        digest = hashlib.sha256(f"{account.pk}:{key}".encode()).digest()
        number = int.from_bytes(digest[:8], signed=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
            if not cursor.fetchone()[0]:
                raise StillRuns
