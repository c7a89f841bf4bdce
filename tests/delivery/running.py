"""Run tasks in this process, or in a real task worker."""

import sys
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from mailboxes.delivery.worker import Worker
from tests.delivery import tasks
from tests.server import Server, until

# A task worker whose tasks others take over sooner after it is killed.
PROGRAM = """
import sys
from datetime import timedelta
import django
django.setup()
from mailboxes.delivery import jobs, webhooks, worker
from mailboxes.models import ServerProcess

age = float(sys.argv[1])
ServerProcess.WORKER_ALIVE_AGE = timedelta(seconds=age)
worker.WorkerHeartbeat.INTERVAL = age / 4
worker.Worker.FOLLOWER_INTERVAL = 0.2
worker.Worker.INTERVAL = 0.1
webhooks.LONGEST_WAIT = 1  # seconds
import tests.delivery.ticking
jobs.periodic[jobs.recover] = 0.2
worker.Worker(sys.argv[2].split(",")).run()
"""


def lines(path) -> list[str]:
    """Return the lines that tasks have written so far."""
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def run_tasks(queues=("default", "mail", "speech", "webhooks")) -> int:
    """Run the tasks that are due, in this thread and transaction, and return their number."""
    worker, count = Worker(queues), 0
    worker.heartbeat.uuid = uuid4()
    while row := worker.claim():
        worker.run_task(row)
        del worker.running[row.pk]
        count += 1
    return count


def fail_task(*arguments, error="tests.delivery.tasks.TemporaryError", text="") -> DBTaskResult:
    """Return a task that failed for good after three attempts."""
    result = tasks.about_mailbox.enqueue(*arguments)
    DBTaskResult.objects.filter(pk=result.id).update(
        status="FAILED",
        finished_at=timezone.now(),
        worker_ids=["one", "two", "three"],
        exception_class_path=error,
        traceback=text,
    )
    return DBTaskResult.objects.get(pk=result.id)


def pass_time(**time) -> None:
    """Move the times at which waiting tasks are due back by this much."""
    for row in DBTaskResult.objects.filter(status="READY", run_after__year__lt=9999):
        row.run_after -= timedelta(**time)
        row.save()


def list_delays() -> list[float]:
    """Return the seconds until the tasks that wait are due."""
    rows = DBTaskResult.objects.filter(status="READY", run_after__year__lt=9999)
    return [(row.run_after - timezone.now()).total_seconds() for row in rows]


class RunningWorker(Server):
    """Context manager: a real process of a task worker.

    After `alive_age` seconds without a sign of life, others take over its tasks.
    """

    def __init__(self, database_url, alive_age=2.0, queues="default,mail,speech,webhooks", **more):
        super().__init__(database_url, **more)
        self.arguments = [str(alive_age), queues]

    def command(self):
        return [sys.executable, "-c", PROGRAM, *self.arguments]

    def wait_until_up(self, seconds=60):
        until(lambda: "starts, for" in self.output())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Stop the worker as a service manager does, and return its exit code."""
        self.process.terminate()
        return self.process.wait(timeout=60)

    def __exit__(self, *error):
        self.stop()
        self.log.close()
