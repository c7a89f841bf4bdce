"""Health checks: /healthz for the process, /readyz for the data that calls read."""

import logging
import time
from uuid import UUID

from django.db import DatabaseError
from django.http import HttpResponse

from mailboxes.api.representation import mailbox_json, select_texts
from mailboxes.checks import has_all_migrations
from mailboxes.db.connections import limit_lock_wait
from mailboxes.db.json import Concatenated
from mailboxes.models import ApiCredential, EmailRecipient, Mailbox
from mailboxes.models.credentials import BY_SECRET
from mailboxes.models.timestamps import IN_ORDER
from mailboxes.monitoring.tasks import measure_lag

log = logging.getLogger("mailboxes")

LOCK_SECONDS = 2
MIN_SECONDS = 1  # between two checks of the data, because anybody may probe
ROWS = 100  # of each list that a probe reads: it takes a few milliseconds
START = UUID(int=0)
LAG_HEADER = "X-Task-Lag"


class HealthChecks:
    """Middleware that answers health probes, whatever their Host header, without a log line."""

    def __init__(self, get_response) -> None:
        self.get_response = get_response
        self.data = DataCheck()
        self.next_check = 0.0
        self.lag: float | None = None

    def __call__(self, request):
        match request.path_info:
            case "/healthz":
                return self.respond(request, None)
            case "/readyz":
                response = self.respond(request, self.find_failure())
                if self.lag is not None:
                    response[LAG_HEADER] = str(round(self.lag))
                return response
        return self.get_response(request)

    def find_failure(self) -> str | None:
        """Return why requests cannot be served, or None: the last result if it is new."""
        now = time.monotonic()
        if now >= self.next_check:
            self.next_check = now + MIN_SECONDS
            self.lag = None if self.data.find_failure() else read_lag()
        return self.data.failure

    @staticmethod
    def respond(request, failure):
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        return HttpResponse(
            f"{failure or 'ok'}\n",
            content_type="text/plain",
            status=503 if failure else 200,
            headers={"Cache-Control": "no-store"},
        )


def read_lag() -> float | None:
    """Return how many seconds the oldest task has waited; None if the database is down."""
    try:
        return measure_lag().seconds
    except DatabaseError:
        return None


class DataCheck:
    """Reads a part of the data as the API does, and at the next probe the next part.

    After a failure it reads the same part again, so that the failure lasts until it is repaired.
    """

    def __init__(self) -> None:
        self.failure: str | None = "the data has not been read yet"
        # The last rows that were read.
        self.credential, self.mailbox, self.recipient = 0, START, START

    def find_failure(self) -> str | None:
        """Read the next part of the data, and log a new failure.

        Return why requests cannot be served, or None.
        """
        failure: str | None = "the database does not answer"
        cause = ""
        try:
            with limit_lock_wait(LOCK_SECONDS):
                if has_all_migrations():
                    failure = "the data cannot be read"
                    failure = self.read_next_part()
                else:
                    failure = "migrations are missing"
        except DatabaseError as error:
            cause = str(error).partition("\n")[0]
        if failure and failure != self.failure:
            log.error("The service is not ready: %s. %s", failure, cause)
        self.failure = failure
        return failure

    def read_next_part(self) -> str | None:
        """Read a credential and the start of its account's list, and rows of all accounts."""
        credentials = ApiCredential.objects.usable().order_by("pk")
        credential = credentials.filter(pk__gt=self.credential).first() or credentials.first()
        if credential:
            by_secret = {"account_name": None, "name": None, "is_engine": credential.is_engine}
            if not list(BY_SECRET.rows(secret_sha256=credential.secret_sha256, **by_secret)):
                return "a credential is not found by its secret"
            of_account = Mailbox.objects.active().filter(account=credential.account_id)
            list(select_texts(of_account, *IN_ORDER)[:ROWS])
        mailboxes = read_after(
            Mailbox.objects.annotate(json=Concatenated(*mailbox_json())), self.mailbox
        )
        recipients = read_after(EmailRecipient.objects, self.recipient)
        encrypted = [mailbox for mailbox in mailboxes if mailbox.password_sealed is not None]
        is_lost = encrypted and all(mailbox.has_lost_pass_code for mailbox in encrypted)
        if is_lost and not Mailbox.has_available_key():
            return "PASS_CODE_KEYS decrypts no pass code"
        self.credential = credential.pk if credential else 0
        self.mailbox, self.recipient = find_last(mailboxes), find_last(recipients)
        return None


def read_after(rows, last) -> list:
    return list(rows.filter(pk__gt=last).order_by("pk")[:ROWS])


def find_last(rows) -> UUID:
    """Return the key of the last row; START, to begin again, if there are no further ones."""
    return rows[-1].pk if len(rows) == ROWS else START
