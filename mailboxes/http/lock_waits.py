"""Middleware that limits how long a page waits for a lock of the database."""

from django.db import connection

from mailboxes.contract import SAFE_METHODS
from mailboxes.db.connections import limit_lock_wait

SECONDS = 2


class ShortLockWaits:
    """Middleware that makes a GET give up soon if another program keeps SQLite locked.

    A GET rarely writes: it deletes a session whose password has changed. It may not keep a thread
    that others read with for as long as a POST may. On PostgreSQL such a row is not locked.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if request.method not in SAFE_METHODS or connection.vendor != "sqlite":
            return self.get_response(request)
        with limit_lock_wait(SECONDS):
            return self.get_response(request)
