"""Describe tasks that failed for good for staff, and try them again."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext
from django_tasks_db.models import DBTaskResult

from mailboxes.delivery.jobs import TaskError, TaskResultStatus, find_policy
from mailboxes.models import Mailbox, Message


class Failure(NamedTuple):
    uuid: UUID  # the id of its lines in the log
    title: str
    message: Message | None
    mailbox: Mailbox | None
    reason: str
    attempts: int
    failed_at: datetime


def list_failed() -> QuerySet[DBTaskResult]:
    return DBTaskResult.objects.failed().order_by("-finished_at", "pk")


def describe_failure(row: DBTaskResult) -> Failure:
    policy = find_policy(row)
    arguments = row.args_kwargs
    subject = (
        policy.find_subject(*arguments["args"], **arguments["kwargs"])
        if policy.find_subject
        else None
    )
    message, mailbox = (
        (subject, subject.mailbox) if isinstance(subject, Message) else (None, subject)
    )
    return Failure(
        row.pk,
        str(policy.title) or gettext("Another task"),
        message,
        mailbox,
        describe_reason(row),
        len(row.worker_ids),
        row.finished_at,
    )


def describe_reason(row: DBTaskResult) -> str:
    """Return the text of an expected error. Other errors may contain callers' data."""
    try:
        is_expected = issubclass(import_string(row.exception_class_path), TaskError)
    except ImportError:
        is_expected = False
    return gettext(row.traceback) if is_expected else gettext("An unexpected error: see the log.")


def try_again(tasks: QuerySet[DBTaskResult]) -> int:
    """Make the failed ones of these tasks due again, like new tasks. Return their number."""
    return tasks.filter(status=TaskResultStatus.FAILED).update(
        status=TaskResultStatus.READY,
        run_after=timezone.now(),
        finished_at=None,
        worker_ids=[],
        exception_class_path="",
        traceback="",
    )
