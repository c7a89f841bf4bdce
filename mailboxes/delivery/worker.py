"""The task worker: runs tasks in threads, and calls the functions of `jobs.every`."""

import logging
import signal
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Event, Thread
from uuid import UUID

from django.conf import settings
from django.db import close_old_connections, connection, transaction
from django_tasks_db.models import DBTaskResult

from mailboxes.db.connections import UNAVAILABLE
from mailboxes.delivery import jobs
from mailboxes.models import ServerProcess
from mailboxes.monitoring.heartbeat import FAILURES, Heartbeat
from mailboxes.monitoring.logs import request_id
from mailboxes.temporary_folders import temporary_folder

log = logging.getLogger("mailboxes")


class WorkerHeartbeat(Heartbeat):
    INTERVAL = 10
    RUNS_TASKS = True


class Worker:
    """Runs the tasks of some queues until `stop`.

    One thread looks for tasks that are due, and marks them as its own. Each queue has some threads
    to run them, so that a slow transcription, or a server that does not answer, delays no mail.
    """

    THREADS = {"default": 1, "mail": 2, "speech": 1, "webhooks": 4}
    INTERVAL = 1  # seconds between two queries for tasks, also while the database is down
    FOLLOWER_INTERVAL = 10  # seconds until a worker checks again if it is the oldest one

    def __init__(self, queues=jobs.QUEUES) -> None:
        self.threads = {queue: self.THREADS[queue] for queue in queues}
        self.heartbeat = WorkerHeartbeat()
        self.running: dict[UUID, str] = {}  # tasks and their queues
        # Its `put` may be called in a signal's handler, unlike the methods of Event.
        self.wake: SimpleQueue = SimpleQueue()
        self.is_stopping = False
        self.has_stopped = Event()
        self.is_unsure = self.is_failing = False

    @property
    def id(self) -> str:
        return str(self.heartbeat.uuid)

    def stop(self, *signal_and_frame) -> None:
        """Take no more tasks, and end when those that run have ended."""
        self.is_stopping = True
        self.wake.put(None)

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        with temporary_folder(settings.TEMP_DIR) as folder:
            tempfile.tempdir = str(folder)
            self.heartbeat.start()
            log.info("Task worker %s starts, for %s.", self.id, ", ".join(self.threads))
            helper = Thread(target=self.run_periodic, name="periodic", daemon=True)
            helper.start()
            # It ends when the tasks have.
            with ThreadPoolExecutor(sum(self.threads.values()), "task") as pool:
                self.run_due(pool)
                log.info(
                    "Task worker %s stops once its %s running tasks end.",
                    self.id,
                    len(self.running),
                )
            self.has_stopped.set()
            helper.join(Heartbeat.MAX_WAIT)
            self.heartbeat.stop()
            connection.close()

    def run_due(self, pool: ThreadPoolExecutor) -> None:
        while not self.is_stopping:
            close_old_connections()
            try:
                # Without the heartbeat, other workers would take over its tasks at once.
                row = self.claim() if self.heartbeat.written.is_set() else None
                self.is_failing = False
            except FAILURES as error:
                self.is_unsure = True  # the commit may have succeeded
                self.report_failure(error)
                row = None
            if row:
                pool.submit(self.run_in_thread, row)
            else:
                self.wait()

    def wait(self) -> None:
        """Wait until a task ends, the worker is to stop, or the interval is over."""
        try:
            self.wake.get(timeout=self.INTERVAL)
            while True:
                self.wake.get_nowait()
        except Empty:
            pass

    def claim(self) -> DBTaskResult | None:
        """Mark the next task that is due as run by this worker, and return it. Raises Error."""
        if self.is_unsure:
            jobs.recover_own(self.id, self.running)
            self.is_unsure = False
        busy = Counter(list(self.running.values()))
        free = [queue for queue, threads in self.threads.items() if busy[queue] < threads]
        due = DBTaskResult.objects.ready().filter(queue_name__in=free)
        # Take SQLite's write lock only if a task is due.
        if not free or not due.exists():
            return None
        with transaction.atomic():
            row = due.get_locked()
            if row:
                row.claim(self.id)
        if row:
            self.running[row.pk] = row.queue_name
        return row

    def run_in_thread(self, row: DBTaskResult) -> None:
        request_id.set(str(row.pk))  # for lines in the log
        close_old_connections()
        try:
            self.run_task(row)
        except Exception:
            log.exception("The end of the task %s cannot be recorded.", row.task_path)
            self.is_unsure = True
        finally:
            close_old_connections()
            self.running.pop(row.pk)
            self.wake.put(None)

    def run_task(self, row: DBTaskResult) -> None:
        """Run a claimed task, and record how it ended. Raises Exception if that is impossible."""
        start, error = time.monotonic(), None
        try:
            call_task(row)
        except BaseException as caught:  # SystemExit too must not end the thread without a record
            error = caught
        status = self.settle(row, error)
        log_end(row, error, status, time.monotonic() - start)

    def settle(self, row: DBTaskResult, error: BaseException | None) -> str:
        """Record the end, as soon as the database answers."""
        while True:
            try:
                return jobs.settle(row, error)
            except UNAVAILABLE as failure:
                if self.is_stopping:  # another worker will take over the task
                    raise
                self.report_failure(failure)
                close_old_connections()
                time.sleep(self.INTERVAL)

    def report_failure(self, error: Exception) -> None:
        """Log the first of several failures in a row."""
        if not self.is_failing:
            log.warning(
                "The task worker cannot use the database: %s. It tries again every second.",
                str(error).partition("\n")[0],
            )
        self.is_failing = True

    def run_periodic(self) -> None:
        """Call the functions of `jobs.every` while this worker is the oldest one."""
        due = dict.fromkeys(jobs.periodic, 0.0)
        while not self.has_stopped.wait(self.INTERVAL):
            for function, seconds in jobs.periodic.items():
                if time.monotonic() < due[function] or self.is_stopping:
                    continue
                try:
                    if not self.is_oldest():
                        due = dict.fromkeys(due, time.monotonic() + self.FOLLOWER_INTERVAL)
                        break
                    function()
                    due[function] = time.monotonic() + seconds
                except Exception:
                    log.exception("The function %s failed.", function.__qualname__)
                    due[function] = time.monotonic() + max(seconds, self.FOLLOWER_INTERVAL)
                finally:
                    close_old_connections()
        connection.close()

    def is_oldest(self) -> bool:
        oldest = ServerProcess.objects.workers().first()
        return oldest is not None and oldest.pk == self.heartbeat.uuid


def call_task(row: DBTaskResult) -> None:
    result = row.task_result
    context: list = [jobs.TaskContext(task_result=result)] if result.task.takes_context else []
    result.task.call(*context, *result.args, **result.kwargs)


def log_end(row: DBTaskResult, error: BaseException | None, status: str, seconds: float) -> None:
    """Log how an attempt ended. Expected errors have no stack trace."""
    name, attempt = row.task_path.removeprefix("mailboxes.delivery."), len(row.worker_ids)
    if error is None:
        log.info("Task %s done in %.2f s, attempt %s.", name, seconds, attempt)
        return
    if isinstance(error, jobs.PostponedError):
        log.debug("Task %s was %s.", name, error)
        return
    is_expected = isinstance(error, jobs.TaskError)
    log.log(
        logging.ERROR if status == jobs.TaskResultStatus.FAILED else logging.WARNING,
        "Task %s failed%s, attempt %s: %s",
        name,
        " for good" if status == jobs.TaskResultStatus.FAILED else "",
        attempt,
        error if is_expected else type(error).__name__,
        exc_info=None if is_expected else error,
    )
