"""Count tasks and task workers, and measure how long tasks wait."""

from typing import NamedTuple

from django.db.models import Case, Count, F, Min, When
from django.utils import timezone
from django_tasks_db.models import DBTaskResult, get_date_max

from mailboxes.models import ServerProcess


class Lag(NamedTuple):
    waiting: int  # tasks that are due
    seconds: float  # since the oldest of them was due


def measure_lag() -> Lag:
    # Without a time, a task is due at once.
    due_at = Case(When(run_after=get_date_max(), then=F("enqueued_at")), default=F("run_after"))
    due = DBTaskResult.objects.ready().aggregate(count=Count("pk"), oldest=Min(due_at))
    age = timezone.now() - (due["oldest"] or timezone.now())
    return Lag(due["count"], max(age.total_seconds(), 0.0))


def count_failed() -> int:
    return DBTaskResult.objects.failed().count()


def count_workers() -> int:
    return ServerProcess.objects.workers().count()
