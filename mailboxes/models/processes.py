"""Running processes of servers, and task workers."""

from datetime import timedelta
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from mailboxes.encryption import KEY_ID_LENGTH


class ServerProcessQuerySet(models.QuerySet):
    def alive(self):
        return self.filter(seen_at__gt=Now() - ServerProcess.ALIVE_AGE)

    def workers(self):
        """Return live task workers, oldest first. A killed one counts until WORKER_ALIVE_AGE."""
        seen = self.filter(runs_tasks=True, seen_at__gt=Now() - ServerProcess.WORKER_ALIVE_AGE)
        return seen.order_by("started_at", "pk")

    def lagging(self):
        """Return live processes that encrypt with another key than the first of PASS_CODE_KEYS."""
        return self.alive().exclude(key=settings.PASS_CODE_KEYS.current)

    def expired(self):
        """Return old rows of processes that ended without deleting them."""
        return self.filter(seen_at__lte=Now() - ServerProcess.MAX_AGE)


class ServerProcess(models.Model):
    """A server's process or a task worker, and the id of the key it encrypts with.

    The database sets both times, because the clocks of several machines differ.
    """

    ALIVE_AGE = timedelta(minutes=3)
    WORKER_ALIVE_AGE = timedelta(seconds=45)  # then others take over its tasks
    MAX_AGE = timedelta(days=1)

    # Containers on one host may share its name and process ids.
    uuid = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    key = models.CharField(max_length=KEY_ID_LENGTH)
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    runs_tasks = models.BooleanField(default=False, db_default=False)

    objects = ServerProcessQuerySet.as_manager()

    class Meta:
        ordering = ["host", "started_at", "pid"]

    def __str__(self):
        kind = "task worker" if self.runs_tasks else "process"
        return (
            f"{self.host}, {kind} {self.pid}, running since {self.started_at:%Y-%m-%d %H:%M:%S} UTC"
        )
