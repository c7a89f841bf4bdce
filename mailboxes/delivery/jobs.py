"""Tasks: when they are tried again, and functions that run regularly.

A task runs at least once, so it must be able to run twice: its worker may be killed before it
records that the task has ended.
"""

import logging
import random
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import timedelta
from traceback import format_exception
from typing import Any
from uuid import UUID

import django
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from mailboxes.db.connections import UNAVAILABLE
from mailboxes.models import Mailbox, Message, ServerProcess

if django.VERSION >= (6, 0):
    from django.tasks import TaskContext, TaskResultStatus, task
else:
    from django_tasks import (  # type: ignore[assignment, no-redef]
        TaskContext,
        TaskResultStatus,
        task,
    )

__all__ = [
    "PermanentError",
    "PostponedError",
    "TaskContext",
    "TemporaryError",
    "every",
    "retry",
    "task",
]

log = logging.getLogger("mailboxes")

QUEUES = tuple(settings.TASKS["default"]["QUEUES"])
JITTER = 0.2  # of a delay
KEEP_SUCCESSFUL, KEEP_FAILED = timedelta(days=14), timedelta(days=30)
BATCH = 1000


class TaskError(Exception):
    """An expected failure. Staff see its text, so it has no callers' data and no secret."""


class TemporaryError(TaskError):
    """The task failed and is tried again, as after any other exception but PermanentError."""


class PermanentError(TaskError):
    """The task failed for good: another try would fail too."""


class PostponedError(Exception):
    """The task cannot run yet, which does not count as an attempt."""

    def __init__(self, seconds: float, priority: int) -> None:
        super().__init__(f"postponed by {seconds:.1f} s")
        self.seconds, self.priority = seconds, priority


class WorkerLostError(TemporaryError):
    """The worker that ran the task was killed, or could not record that the task had ended."""

    def __init__(self) -> None:
        super().__init__("The task worker ended before the task did.")


@dataclass(frozen=True)
class Policy:
    """When a task is tried again, and what happens if it fails for good."""

    attempts: int = 8
    first: float = 10  # seconds from the first try to the second; each later delay is doubled
    longest: float = 3600  # seconds
    delays: Sequence[float] = ()  # seconds, instead of the three above
    give_up: Callable[[Any], None] | None = None
    title: Any = ""  # for staff, translated
    # Returns the message or mailbox of a task, from its arguments; None if it is gone.
    find_subject: Callable[..., Message | Mailbox | None] | None = None

    def delay_after(self, attempt: int) -> float | None:
        """Return the seconds until the next attempt; None after the last. The first one is 1."""
        if attempt >= (len(self.delays) + 1 if self.delays else self.attempts):
            return None
        delay = (
            self.delays[attempt - 1]
            if self.delays
            else min(self.longest, self.first * 2 ** min(attempt - 1, 30))
        )
        return delay * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  not for security


DEFAULT_POLICY = Policy()
policies: dict[str, Policy] = {}  # by the path of the task's function
periodic: dict[Callable[[], Any], float] = {}  # functions and seconds


def retry(function: Any, **policy: Any) -> None:
    """Set the Policy of a task. The keyword arguments are its fields.

    `give_up` is called with the TaskResult when the task has failed for good, in the transaction
    that records it.
    """
    policies[function.module_path] = Policy(**policy)


def every(seconds: float) -> Callable:
    """Decorate a function that one task worker calls regularly, at most once in this time.

    Such functions run one after the other in one thread: a slow one delays the others. Two workers
    may call it at the same time if one of them has lost the database, so it must lock what it
    changes.
    """

    def register(function):
        periodic[function] = seconds
        return function

    return register


def find_policy(row: DBTaskResult) -> Policy:
    try:
        row.task  # noqa: B018  imports the module, which sets the policy
    except ImportError:  # the function is of another version of the code
        return DEFAULT_POLICY
    return policies.get(row.task_path, DEFAULT_POLICY)


def settle(row: DBTaskResult, error: BaseException | None, delay: float | None = None) -> str:
    """Record the end of an attempt: a success, another attempt to come, or the last failure.

    Return the new status; an empty text if the attempt had already ended, or another worker
    has taken over the task. The delay, in seconds, replaces the policy's.
    """
    with transaction.atomic():
        now = timezone.now()
        current = DBTaskResult.objects.select_for_update().filter(pk=row.pk).first()
        if not current or not is_same_attempt(current, row):
            return ""
        if isinstance(error, PostponedError):
            postpone(current, error)
            return str(current.status)
        current.status, current.finished_at = TaskResultStatus.SUCCESSFUL, now
        current.exception_class_path = current.traceback = ""
        if error is not None:
            current.exception_class_path = f"{type(error).__module__}.{type(error).__qualname__}"
            current.traceback = describe(error)
            policy = find_policy(current)
            pause = policy.delay_after(len(current.worker_ids))
            if pause is None or isinstance(error, PermanentError):
                current.status = TaskResultStatus.FAILED
            else:
                current.status, current.finished_at = TaskResultStatus.READY, None
                current.run_after = now + timedelta(seconds=pause if delay is None else delay)
        current.save()
        if current.status == TaskResultStatus.FAILED:
            give_up(current, policy)
        elif current.status == TaskResultStatus.SUCCESSFUL:
            # Staff need not try an earlier task again if another one has done the same.
            same = {"task_path": row.task_path, "args_kwargs": row.args_kwargs}
            DBTaskResult.objects.failed().filter(**same).delete()
        return str(current.status)


def postpone(row: DBTaskResult, error: PostponedError) -> None:
    row.status, row.priority = TaskResultStatus.READY, error.priority
    row.run_after = timezone.now() + timedelta(seconds=error.seconds)
    row.worker_ids = row.worker_ids[:-1]
    row.save()


def give_up(row: DBTaskResult, policy: Policy) -> None:
    try:
        if policy.give_up:
            with transaction.atomic():
                policy.give_up(row.task_result)
    except UNAVAILABLE:
        raise
    except Exception:  # otherwise the task would be attempted, and fail here, for ever
        log.exception("The task %s cannot be given up.", row.task_path)


def is_same_attempt(current: DBTaskResult, row: DBTaskResult) -> bool:
    return current.status == TaskResultStatus.RUNNING and current.worker_ids == row.worker_ids


def describe(error: BaseException) -> str:
    """Return the text of an expected error, else a stack trace, which staff must not see."""
    return str(error) if isinstance(error, TaskError) else "".join(format_exception(error))


@every(10)
def recover() -> int:
    """Take over the tasks of workers that were killed, and return their number."""
    # Read the tasks first: a worker that starts meanwhile is then in the list of workers.
    running = list(DBTaskResult.objects.running())
    workers = {str(pk) for pk in ServerProcess.objects.workers().values_list("pk", flat=True)}
    lost = [row for row in running if row.worker_ids[-1] not in workers]
    return sum(bool(settle(row, WorkerLostError(), delay=0)) for row in lost)


def recover_own(worker_id: str, known: Container[UUID]) -> None:
    """Run again the tasks that this worker claimed without the database's confirmation."""
    for row in DBTaskResult.objects.running():
        if row.worker_ids[-1] == worker_id and row.pk not in known:
            settle(row, WorkerLostError(), delay=0)


def remove_finished() -> int:
    """Remove tasks that ended long ago, in short transactions, and return their number."""
    now, removed = timezone.now(), 0
    for tasks in (
        DBTaskResult.objects.successful().filter(finished_at__lte=now - KEEP_SUCCESSFUL),
        DBTaskResult.objects.failed().filter(finished_at__lte=now - KEEP_FAILED),
    ):
        while pks := list(tasks.values_list("pk", flat=True)[:BATCH]):
            removed += DBTaskResult.objects.filter(pk__in=pks).delete()[0]
    return removed
