"""Calls that have come at the same time: the server tells of them, so that the database is asked for all at once.

Each answer waits for the database, and whoever goes back and forth between the two for each call
finds nothing in the processor's caches any more. Imports only the contract.
"""

import re

from mailboxes.contract import MAILBOXES

# In a request's environment: those of the requests that are answered next, its own first.
NEXT = "mailboxes.next"
MOST = 8  # as many are waited for, by those that are answered last

FEW_BYTES = 32 * 1024  # of an answer

PATH = re.compile(rf"/{MAILBOXES}(?P<one>/[0-9A-Fa-f-]+)?/?\Z")


def is_brief(environ: dict, told: int | None) -> bool:
    """Whether whoever waits for a request's answer does not wait for long.

    It asks for one of its own mailboxes, or for all, and was told few bytes when it last asked for
    the same.
    """
    found = PATH.match(environ["PATH_INFO"])
    return (
        found is not None
        and environ["REQUEST_METHOD"] == "GET"
        and "HTTP_X_AUTH_FOR" not in environ
        and (found["one"] is not None or (told is not None and told <= FEW_BYTES))
    )
