"""Real task workers: stopped, killed, and several at a time."""

import os
import time

import pytest
from django.core.management import call_command
from django.db import connection
from django_tasks_db.models import DBTaskResult

from mailboxes.models import ServerProcess
from tests.conftest import database_url
from tests.databases import default_database
from tests.delivery import tasks
from tests.delivery.running import RunningWorker, lines
from tests.postgres import PrivatePostgres
from tests.server import until

pytestmark = pytest.mark.django_db(transaction=True)


def count(status) -> int:
    return DBTaskResult.objects.filter(status=status).count()


@pytest.mark.long
def test_task_of_a_killed_worker_is_taken_up_by_another(path):
    tasks.work_slowly.enqueue(path, 2)
    with RunningWorker(database_url()) as first, RunningWorker(database_url()):
        until(lambda: lines(path))
        runner = DBTaskResult.objects.get().worker_ids[0]
        pid = ServerProcess.objects.get(pk=runner).pid
        os.kill(pid, 9)
        first.process.poll()
        until(lambda: count("SUCCESSFUL"))
    assert lines(path) == ["start", "start", "end"]


@pytest.mark.parametrize("signals", [1, pytest.param(3, marks=pytest.mark.long)])
def test_running_task_ends_before_a_stopped_worker_does(path, signals):
    for _ in range(4):  # two run at a time
        tasks.work_slowly.enqueue(path, 1)
    with RunningWorker(database_url()) as worker:
        until(lambda: len(lines(path)) == 2)
        for _ in range(signals - 1):
            worker.process.terminate()
            time.sleep(0.2)
        assert worker.stop() == 0
        assert lines(path) == ["start", "start", "end", "end"]
        assert "stops once its 2 running tasks end" in worker.output()
    assert (count("SUCCESSFUL"), count("READY")) == (2, 2)
    assert not ServerProcess.objects.workers().exists()  # servers of other tests may have rows


@pytest.mark.long
def test_each_task_runs_once_with_several_workers(path):
    with RunningWorker(database_url()), RunningWorker(database_url()):
        for number in range(100):
            tasks.note.using(queue_name="webhooks").enqueue(path, number)
        until(lambda: count("SUCCESSFUL") == 100)
    assert sorted(map(int, lines(path))) == list(range(100))
    workers = {row.worker_ids[0] for row in DBTaskResult.objects.all()}
    assert len(workers) == 2


@pytest.mark.long
def test_slow_task_stays_with_its_live_worker(path):
    tasks.work_slowly.enqueue(path, 4)
    with RunningWorker(database_url(), alive_age=1), RunningWorker(database_url(), alive_age=1):
        until(lambda: count("SUCCESSFUL"))
    assert lines(path) == ["start", "end"]


@pytest.mark.long
def test_task_that_kills_its_worker_is_given_up(path):
    tasks.kill_worker.enqueue(path)
    for _ in range(2):
        with RunningWorker(database_url()) as worker:
            worker.process.wait(timeout=60)
    with RunningWorker(database_url()):
        until(lambda: count("FAILED"))
    assert lines(path) == ["try", "try", "gave up"]


@pytest.mark.long
def test_slow_task_of_one_queue_delays_no_other_queue(path):
    tasks.work_slowly.using(queue_name="speech").enqueue(path, 3)
    with RunningWorker(database_url()):
        until(lambda: lines(path))
        tasks.note.using(queue_name="mail").enqueue(path, "mail")
        until(lambda: count("SUCCESSFUL") == 2)
    assert lines(path) == ["start", "mail", "end"]


@pytest.mark.long
def test_regular_functions_are_called_by_one_worker_at_a_time(path):
    ticks = {"TICKS": path}
    with RunningWorker(database_url(), **ticks) as first:
        until(lambda: lines(path))
        with RunningWorker(database_url(), **ticks) as second:
            time.sleep(1)
            assert set(lines(path)) == {str(first.process.pid)}
            first.kill()
            until(lambda: str(second.process.pid) in lines(path))


@pytest.mark.long
def test_worker_survives_a_restart_of_the_database(postgres, path):
    with PrivatePostgres(postgres.programs) as running:
        url = running.create("mailboxes")
        with default_database(url):
            call_command("migrate", verbosity=0)
            tasks.work_slowly.enqueue(path, 3)
            with RunningWorker(url, alive_age=60) as worker:
                until(lambda: lines(path))
                running.stop()
                until(lambda: "The task worker cannot use the database: " in worker.output())
                time.sleep(3)  # the task ends meanwhile
                running.start()
                connection.close()
                until(lambda: count("SUCCESSFUL"))
                tasks.note.enqueue(path, "later")
                until(lambda: count("SUCCESSFUL") == 2)
            assert worker.stop() == 0
            assert lines(path) == ["start", "end", "later"]


@pytest.mark.long
def test_command_runs_the_tasks_of_its_queues(path):
    class Command(RunningWorker):
        def command(self):
            return [*super().command()[:1], "manage.py", "work", "--queues", "mail,webhooks"]

    tasks.note.enqueue(path, "default")
    tasks.note.using(queue_name="mail").enqueue(path, "mail")
    with Command(database_url()) as worker:
        until(lambda: count("SUCCESSFUL"))
        assert worker.stop() == 0
        assert "for mail, webhooks." in worker.output()
    assert lines(path) == ["mail"]


@pytest.mark.long
def test_unknown_queue_is_refused_with_the_known_ones():
    class Command(RunningWorker):
        def command(self):
            return [*super().command()[:1], "manage.py", "work", "--queues", "mails"]

        def wait_until_up(self, seconds=60):
            self.process.wait(timeout=seconds)

    with Command(database_url()) as worker:
        assert "'mails' is not a queue: choose from default, mail, speech, webhooks." in (
            worker.output()
        )
