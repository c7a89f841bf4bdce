"""Calls that have come at the same time: the server tells of them, so that the database is asked for all at once.

Each answer waits for the database, and whoever goes back and forth between the two for each call
finds nothing in the processor's caches any more. Imports only the contract.
"""

import math

from mailboxes.contract import MAILBOX_PATH

# In a request's environment: those of the requests that are answered next, its own first.
NEXT = "mailboxes.next"
MOST = 8  # as many are waited for, by those that are answered last

FEW_BYTES = 32 * 1024  # of an answer


def is_brief(environ: dict, told: dict[int, int]) -> bool:
    """Whether whoever waits for a request's answer does not wait for long.

    It asks for a mailbox, or for all, which were few bytes when the same caller was last `told`.
    """
    found = MAILBOX_PATH.match(environ["PATH_INFO"])
    if found is None or environ["REQUEST_METHOD"] != "GET" or "HTTP_X_AUTH_FOR" in environ:
        return False
    return bool(found["uuid"]) or told.get(who_and_what(environ), math.inf) <= FEW_BYTES


def who_and_what(environ: dict) -> int:
    """Tells apart who asks for what, and keeps no secret."""
    headers = ("HTTP_X_AUTH_RESELLER", "HTTP_X_AUTH_PASSWORD", "HTTP_AUTHORIZATION")
    return hash((environ["RAW_URI"], *map(environ.get, headers)))
